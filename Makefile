# nib's build. What the goals are: `make help`. The parts are in mk/: kernels, shaders, pages, packages, sanitizers, demos and others.
#:
#: make                   build/nib
#: make test              build and run all tests (FILTER='Gguf*' runs some); full output in build/test.log
#: make demo              train a character model on a few fables and let it write
#: make demo-align        train a chat about them in all stages: text, dialogues, and a reward (PPO)
#: make bench             measure the kernels and models on this machine
#: make asan | tsan       the tests under Address+UB sanitizer | under thread sanitizer (TSAN_FILTER='Parallel*')
#: make fuzz              run every fuzzer for FUZZ_SECONDS=60 (clang)
#: make compare           numbers beside PyTorch's and llama.cpp's: docs/comparing.md
#: make format            clang-format over all sources
#: make install           PREFIX=/usr/local DESTDIR=
#: make deps FOR=test     only install the Debian packages that a goal needs
#: make clean
#:
#: Variables: CXX=clang++-14 (goes to build/clang), CROSS=aarch64-linux-gnu (build/aarch64-linux-gnu, tests under qemu),
#: CXXFLAGS, LDFLAGS (added last), WERROR=1, V=1 (show the commands), -j N (all cores that have a GiB each unless given),
#: QUICK=1 (tests of kernels take every seventh case: for sanitizers and emulators), CHECKS= (no scripts, only GoogleTest).

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell sh mk/jobs.sh)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
Q := $(if $(V),,@)

# ---- where things go: one folder per variant, so that none clobbers another ----------------------------------------
ifeq ($(origin CXX),default)
CXX := $(CROSS:%=%-)g++
endif
VARIANT ?= $(or $(CROSS),$(if $(findstring clang,$(CXX)),clang))
BUILD   := build$(VARIANT:%=/%)
OBJ     := $(BUILD)/obj
NIB     := $(BUILD)/nib
TESTS   := $(BUILD)/nib_tests
LOG     := $(BUILD)/test.log
GOALS   := $(or $(FOR),$(MAKECMDGOALS),all)
ARCH    := $(firstword $(subst -, ,$(or $(CROSS),$(shell $(CXX) -dumpmachine 2>/dev/null || uname -m))))
MAKE_FILES := Makefile $(wildcard mk/*.mk)

# ---- flags ---------------------------------------------------------------------------------------------------------
# Contraction is off everywhere: the reference gives the same bits on every compiler, kernels say fma where they mean it.
# A test takes longer to compile than to run, since its loops are in src/. What is written for size has none that take time.
BASE        := -std=c++20 -Isrc -I$(OBJ) -pthread -ffp-contract=off -Wall -Wextra -Wpedantic $(if $(WERROR),-Werror)
MODE        := -O2 -ffunction-sections -fdata-sections
KERNEL_MODE := -O3 -DNDEBUG
TEST_MODE   := -O0
SMALL_MODE  := -Os
LINK_MODE   := -static-libstdc++ -static-libgcc -Wl,--gc-sections
SMALL       := io model task train
RELEASE     := -s
MAX_BYTES   := 8388608

include mk/packages.mk mk/sanitizers.mk $(if $(CROSS),mk/sysroot.mk) mk/kernels.mk mk/shaders.mk mk/pages.mk

# ---- sources -------------------------------------------------------------------------------------------------------
NIB_SRC  := $(filter-out $(KERNEL_SRC),$(shell find src -name '*.cpp' | LC_ALL=C sort))
NIB_OBJ  := $(NIB_SRC:%.cpp=$(OBJ)/%.o) $(KERNEL_OBJ)
TOOL_OBJ := $(patsubst %.cpp,$(OBJ)/%.o,$(wildcard tools/*.cpp))
TEST_OBJ := $(patsubst %.cpp,$(OBJ)/%.o,$(wildcard tests/*_test.cpp))
# The full path of a static library, for the target; looked up when it is needed, since it may have to be installed first.
static_lib = $(if $(CROSS),$(SYSROOT)/usr/lib/$(CROSS)/$1,$(shell $(CXX) -print-file-name=$1))
NIB_LIBS   = $(call static_lib,libutf8proc.a) $(call static_lib,libpcre2-8.a) $(call static_lib,libz.a)
TEST_LIBS  = $(call static_lib,libgtest_main.a) $(call static_lib,libgtest.a)

.PHONY: all test probe demo demo-align bench compare asan tsan fuzz format install deps clean help FORCE
all: $(NIB)
deps: $(DEPS_OK)
FORCE:

# Rewritten only when the text changes: other flags recompile, a source that is gone links again. (`make clean test` works.)
$(BUILD)/.flags:   TEXT = $(CXX) $(BASE) $(MODE) $(KERNEL_MODE) $(SMALL_MODE) $(CXXFLAGS)
$(BUILD)/.sources: TEXT = $(LINK_MODE) $(LDFLAGS) $(NIB_OBJ) $(TOOL_OBJ) $(TEST_OBJ)
$(BUILD)/.libs:    TEXT = $(LIBS)
$(BUILD)/.shaders: TEXT = $(notdir $(basename $(SHADERS)))
$(BUILD)/.flags $(BUILD)/.sources $(BUILD)/.libs $(BUILD)/.shaders: FORCE | $(filter clean,$(MAKECMDGOALS))
	@mkdir -p $(@D); echo '$(TEXT)' | cmp -s - $@ || echo '$(TEXT)' > $@

# ---- compile and link ----------------------------------------------------------------------------------------------
compile = @mkdir -p $(@D); $(if $(V),,echo "  CXX  $(@:$(OBJ)/%=%)";)
link    = $(if $(V),,@echo "  LINK $@")
CXX_O   = $(CXX) $(BASE) $(MODE) -MMD -MP
LINK_O  = $(CXX) $(MODE) $(LINK_MODE) -pthread $(filter %.o,$^)

$(TOOL_OBJ) $(filter $(patsubst %,$(OBJ)/src/%/%,$(SMALL)),$(NIB_OBJ)): CXX_O += $(SMALL_MODE)
$(OBJ)/%.o: %.cpp $(BUILD)/.flags $(MAKE_FILES) | $(DEPS_OK) $(OBJ)/shaders/names.inc
	$(compile)
	$(Q)$(CXX_O) $(CXXFLAGS) -c $< -o $@

# GoogleTest and the standard library are read once for all tests: `-include X` takes X.gch, which ccache accepts if told to.
PRECOMPILED := $(OBJ)/tests/precompiled.h
export CCACHE_SLOPPINESS ?= pch_defines,time_macros
$(PRECOMPILED).gch: tests/precompiled.h $(BUILD)/.flags $(MAKE_FILES) | $(DEPS_OK)
	$(compile)
	$(Q)$(CXX_O) $(TEST_MODE) $(CXXFLAGS) -x c++-header $< -o $@
$(TEST_OBJ): $(OBJ)/%.o: %.cpp $(PRECOMPILED).gch | $(OBJ)/shaders/names.inc
	$(compile)
	$(Q)$(CXX_O) $(TEST_MODE) $(CXXFLAGS) -include $(PRECOMPILED) -c $< -o $@

$(NIB): $(NIB_OBJ) $(TOOL_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) $(RELEASE) $(NIB_LIBS) $(LDFLAGS) -o $@
	$(if $(RELEASE),@[ $$(stat -c %s $@) -le $(MAX_BYTES) ] || { echo "$@ is larger than $(MAX_BYTES) bytes"; exit 1; })

$(TESTS): $(NIB_OBJ) $(TEST_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) $(TEST_LIBS) $(NIB_LIBS) $(LDFLAGS) -o $@

include mk/demo.mk mk/fuzz.mk mk/compare.mk
-include $(patsubst %.o,%.d,$(NIB_OBJ) $(TOOL_OBJ) $(TEST_OBJ)) $(PRECOMPILED).d

# ---- tests: GoogleTest's cases and the scripts tests/*.sh, which find $NIB, $OBJ and $NM in their environment ----------
CHECKS := $(filter-out $(if $(CROSS),%/check_format.sh) $(if $(RELEASE),,%/check_format.sh %/check_symbols.sh), \
    $(if $(filter tsan,$(VARIANT)),,$(wildcard tests/*.sh)))

test: $(if $(CHECKS),$(NIB)) $(TESTS)
	@NIB_QUICK=$(QUICK) NIB="$(strip $(RUN) $(CURDIR)/$(NIB))" OBJ=$(OBJ) NM=$(CROSS:%=%-)nm \
	    bash mk/test.sh $(LOG) $(CHECKS) -- $(RUN) $(TESTS) --gtest_filter='$(or $(FILTER),*)'

# Whether programs of this variant run on this machine: sanitizers may want what a container does not permit.
probe: | $(DEPS_OK)
	@echo 'int main() {}' | $(CXX) $(MODE) $(LINK_MODE) -x c++ - -o $(BUILD)/probe && timeout 20 $(RUN) $(BUILD)/probe

# ---- use -----------------------------------------------------------------------------------------------------------
bench: $(NIB)
	$(RUN) $(NIB) bench $(BENCH)

format: | $(DEPS_OK)
	find src tools tests -name '*.h' -o -name '*.cpp' | xargs clang-format-14 -i

PREFIX ?= /usr/local
install: $(NIB)
	install -D -m 755 $(NIB) $(DESTDIR)$(PREFIX)/bin/nib

clean:
	rm -rf build

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile
