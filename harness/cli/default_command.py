"""A group of commands with a default command, which needs no name."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from harness.errors import UnknownNameError, UsageError
from harness.schema_words import did_you_mean

_FIRST_WORD = __name__  # in a context's dictionary


class DefaultCommandGroup(TyperGroup):
    """If the first word is no command of the group, it is an argument of the first command.

    So a command keeps its old uses when it becomes a group. Help and completion show the options
    of the default command beside the other commands. (The types of contexts are private to Typer.)
    """

    @property
    def default(self) -> str:
        """The name of the default command."""
        return next(iter(self.commands))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            ctx.meta[_FIRST_WORD] = args[0]
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Raises UsageError if the first word looks like a misspelt command."""
        word = ctx.meta.get(_FIRST_WORD, "")
        try:
            return super().invoke(ctx)
        except (UnknownNameError, typer.TyperException) as error:
            near = did_you_mean(word, self.commands)
            if near is None or isinstance(error, typer.BadParameter):
                raise
            raise UsageError(
                f"'{word}' is not a command of '{ctx.command_path}', and it is not enough for "
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
        """The context of the default command without any arguments."""
        command = self.commands[self.default]
        return command.make_context(self.default, [], parent=ctx, resilient_parsing=True)
