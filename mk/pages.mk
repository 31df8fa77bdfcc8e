# Pages of HTML become raw strings, which the source beside them includes.
PAGES := $(wildcard src/*/*.html)

$(OBJ)/%.html.inc: %.html mk/pages.mk
	@mkdir -p $(@D); { printf 'R"page('; cat $<; echo ')page"'; } > $@
$(PAGES:%.html=$(OBJ)/%.o): $(OBJ)/%.o: $(OBJ)/%.html.inc
