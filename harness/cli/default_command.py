"""A group of commands one of which needs no name."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from harness.errors import UnknownNameError, UsageError
from harness.schema_words import did_you_mean

_FIRST_WORD = __name__  # in a context's dictionary


class DefaultCommandGroup(TyperGroup):
    """Takes a first word that names none of its commands for the arguments of its first one.

    So what was one command keeps all its uses when it becomes a group; help and completion
    show that command's own beside the others. (The types of contexts are private to Typer.)
    """

    @property
    def default(self) -> str:
        """The name of the command that needs none."""
        return next(iter(self.commands))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            ctx.meta[_FIRST_WORD] = args[0]
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Raises UsageError for a first word that looks like a command, misspelt."""
        word = ctx.meta.get(_FIRST_WORD, "")
        try:
            return super().invoke(ctx)
        except (UnknownNameError, typer.TyperException) as error:
            near = did_you_mean(word, self.commands)
            if near is None or isinstance(error, typer.BadParameter):
                raise
            raise UsageError(
                f"'{word}' is no command of '{ctx.command_path}', nor is it enough for "
                f"'{ctx.command_path} {self.default}'",
                hint=f"{near} See: {ctx.command_path} --help",
            ) from error

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        with self._default_context(ctx) as default:
            default.command.format_help(default, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        with self._default_context(ctx) as default:
            command: Any = default.command
            if not incomplete.startswith("-"):
                command = next(
                    param for param in command.params if param.param_type_name == "argument"
                )
            return super().shell_complete(ctx, incomplete) + list(
                command.shell_complete(default, incomplete)
            )

    def _default_context(self, ctx: Any) -> Any:
        """As if nothing had been given to the default command yet."""
        command = self.commands[self.default]
        return command.make_context(self.default, [], parent=ctx, resilient_parsing=True)
