"""Runs on several hosts: dask.distributed carries them, our schedule says where each one goes.

::

    user's process                    scheduler (dask)          each host
    Cluster, RemoteRun, fetch  <--->  passes tasks on    <--->  worker (dask) with a Member,
                                                                a run's process for each task
"""
