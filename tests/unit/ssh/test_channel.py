from __future__ import annotations

import os

import pytest
from paramiko import Channel

from harness.ssh.channel import end, ended


@pytest.mark.parametrize("name", ["in_buffer", "in_stderr_buffer"])
def test_output_at_the_end_is_written_to_no_closed_descriptor(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    channel = Channel(1)
    channel.fileno()
    buffer, close = getattr(channel, name), os.close

    def closing(descriptor: int) -> None:
        close(descriptor)
        buffer.feed(b"late")  # by another thread, which runs while a file is closed

    with monkeypatch.context() as patched:
        patched.setattr(os, "close", closing)
        end(channel)
    assert vars(channel)["_pipe"] is None
    assert len(buffer) == 2 * len(b"late")


def test_a_channel_ends_with_its_block():
    with ended(Channel(1)) as channel:
        channel.fileno()
    assert vars(channel)["_pipe"] is None


def test_a_channel_without_a_pipe_can_end_twice():
    channel = Channel(1)
    end(channel)
    end(channel)
