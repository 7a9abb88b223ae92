"""Declarative layouts of structures that hardware, firmware and boot loader use."""
