# Fuzzers, tests/fuzz_NAME.cpp (clang's libFuzzer). Their seeds: tests/fuzz_*/NAME/. What a run finds is kept in
# build/fuzz/corpus/NAME, crashes in build/fuzz.
FUZZ_SECONDS ?= 60
ifneq ($(VARIANT),fuzz)
fuzz: | $(DEPS_OK)
	@$(MAKE) --no-print-directory VARIANT=fuzz CXX=clang++-14 fuzz
else
FUZZERS  := $(patsubst tests/%.cpp,$(BUILD)/%,$(wildcard tests/fuzz_*.cpp))
FUZZ_OBJ := $(filter $(foreach part,core io text model quant task/metrics,$(OBJ)/src/$(part)/%),$(NIB_OBJ)) \
    $(patsubst %,$(OBJ)/src/task/%.o,example_file parallel_files question_file table_file table_header tagged_file) # what reads files

$(FUZZERS): $(BUILD)/%: $(OBJ)/tests/%.o $(FUZZ_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) -fsanitize=fuzzer $(NIB_LIBS) $(LDFLAGS) -o $@

.PHONY: $(FUZZERS:%=%.result)
fuzz: $(FUZZERS:%=%.result)
	@passed=$$(cat $^ /dev/null | grep -c passed); failed=$$(($(words $^) - passed)); \
	echo "$$passed passed, $$failed failed"; [ $$failed = 0 ]
$(FUZZERS:%=%.result): $(BUILD)/fuzz_%.result: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*; echo "  FUZZ $* for $(FUZZ_SECONDS) s"; \
	if $(RUN) $< -max_total_time=$(FUZZ_SECONDS) -timeout=20 -artifact_prefix=$<- $(BUILD)/corpus/$* \
	    $(wildcard tests/fuzz_*/$*) > $<.log 2>&1; then echo passed > $@; \
	else echo failed > $@; echo "FAILED: $<"; tail -n 40 $<.log; fi

-include $(FUZZERS:$(BUILD)/%=$(OBJ)/tests/%.d)
endif
