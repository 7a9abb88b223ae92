"""Declarative layouts of what hardware, firmware and boot loader share with programs."""
