// Tells why options of a kernel do not have the value that a configuration asks for.
//
// This takes the place of scripts/kconfig/conf.c in a kernel tree, so make builds it with the
// tree's own Kconfig parser and runs it in kbuild's environment, for any version of Linux. It reads
// names of options (without CONFIG_, one a line) from the file $ZHARNESS_ASKED, and the
// configuration from .config. It writes facts to the file $ZHARNESS_FACTS: lines of an option, a
// word and a text (- if there is none), separated by tabs. The words are in
// harness/images/kernel/dependencies.py.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkc.h"

#define DEEPEST 5

static FILE *facts;

static void tell(struct symbol *sym, int depth);

static void fact(struct symbol *sym, const char *word, const char *text)
{
	fprintf(facts, "%s\t%s\t%s\n", sym->name, word, text);
}

static void fact_expr(struct symbol *sym, const char *word, struct expr *e)
{
	struct gstr text = str_new();

	expr_gstr_print(e, &text);
	fact(sym, word, str_get(&text));
	str_free(&text);
}

static int holds(struct expr *e)
{
	return !e || expr_calc_value(e) == yes;
}

// Each part of a conjunction that limits it to `value`; then what is known of these options.
static void limits(struct symbol *sym, struct expr *e, tristate value, int depth)
{
	if (e->type == E_AND) {
		limits(sym, e->left.expr, value, depth);
		limits(sym, e->right.expr, value, depth);
	} else if (expr_calc_value(e) == value) {
		fact_expr(sym, "needs", e);
		if (e->type == E_SYMBOL && e->left.sym->name && e->left.sym->type != S_UNKNOWN)
			tell(e->left.sym, depth + 1);
	}
}

// Each part of what follows `select ... if` that fails.
static void conditions(struct symbol *sym, struct expr *e)
{
	if (e->type == E_AND) {
		conditions(sym, e->left.expr);
		conditions(sym, e->right.expr);
	} else if (expr_calc_value(e) == no) {
		fact_expr(sym, "condition", e);
	}
}

// Each option that selects this one, or could, since its own dependencies hold.
static void selectors(struct symbol *sym, struct expr *e)
{
	struct expr *first = e;

	if (!e)
		return;
	if (e->type == E_OR) {
		selectors(sym, e->left.expr);
		selectors(sym, e->right.expr);
		return;
	}
	while (first->type == E_AND)
		first = first->left.expr;
	if (first->type != E_SYMBOL || !first->left.sym->name)
		return;
	sym_calc_value(first->left.sym);
	if (expr_calc_value(e) != no)
		fact(sym, "selected", first->left.sym->name);
	else if (first->left.sym->curr.tri != no)
		conditions(sym, e);
	else if (holds(first->left.sym->dir_dep.expr))
		fact(sym, "selector", first->left.sym->name);
}

// The member that is chosen, if the option is a member of a choice: a symbol without a name. It may
// be the option itself.
static void choice(struct symbol *sym, struct menu *parent)
{
	struct menu *member;

	if (!parent || !parent->sym || parent->sym->name)
		return;
	for (member = parent->list; member; member = member->next) {
		if (!member->sym || !member->sym->name)
			continue;
		sym_calc_value(member->sym);
		if (member->sym->curr.tri == yes)
			fact(sym, "chosen", member->sym->name);
	}
}

static void tell(struct symbol *sym, int depth)
{
	struct property *prop, *prompt = NULL;
	tristate visible = no;
	char range[256];

	sym_calc_value(sym);
	fact(sym, "value", sym_get_string_value(sym));
	for (prop = sym->prop; prop; prop = prop->next) {
		tristate value = prop->visible.expr ? expr_calc_value(prop->visible.expr) : yes;

		if (prop->text && (!prompt || value > visible)) {
			prompt = prop;
			visible = value;
		}
		if (prop->type == P_RANGE && value != no) {
			snprintf(range, sizeof(range), "%s..%s",
				 sym_get_string_value(prop->expr->left.sym),
				 sym_get_string_value(prop->expr->right.sym));
			fact(sym, "range", range);
		}
	}
	selectors(sym, sym->rev_dep.expr);
	if (!prompt)
		fact(sym, "hidden", "-");
	else if (prompt->menu)
		choice(sym, prompt->menu->parent);
	if (depth >= DEEPEST)
		return;
	if (prompt && visible != yes)
		limits(sym, prompt->visible.expr, visible, depth);
	else if (!prompt && !holds(sym->dir_dep.expr))
		limits(sym, sym->dir_dep.expr, expr_calc_value(sym->dir_dep.expr), depth);
}

static FILE *opened(const char *variable, const char *mode)
{
	const char *name = getenv(variable);
	FILE *file = name ? fopen(name, mode) : NULL;

	if (!file) {
		perror(variable);
		exit(1);
	}
	return file;
}

int main(int argc, char **argv)
{
	FILE *asked = opened("ZHARNESS_ASKED", "r");
	char name[256];

	facts = opened("ZHARNESS_FACTS", "w");
	conf_parse(argv[argc - 1]);
	conf_read(NULL);
	while (fscanf(asked, "%255s", name) == 1) {
		struct symbol *sym = sym_find(name);

		if (!sym || sym->type == S_UNKNOWN)
			fprintf(facts, "%s\tundefined\t-\n", name);
		else
			tell(sym, 0);
	}
	return fclose(facts) ? 1 : 0;
}
