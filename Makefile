# nib's build. What the goals are: `make help`.
#:
#: make                   build/nib
#: make test              build and run all tests (FILTER='Gguf*' runs some); full output in build/test.log
#: make demo              train a character model on a few fables and let it write
#: make bench             measure the kernels and models on this machine
#: make asan | tsan       the tests under Address+UB sanitizer | under thread sanitizer (TSAN_FILTER='Parallel*')
#: make fuzz              run every fuzzer for FUZZ_SECONDS=60 (clang)
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

# ---- sources: kernels are compiled once per ISA, everything else once ----------------------------------------------
ISAS_x86_64  := sse42 avx2 avx512
ISAS_aarch64 := neon
ISAS         := $(ISAS_$(ARCH))
FLAGS_sse42  := -msse4.2
FLAGS_avx2   := -mavx2 -mfma -mf16c
FLAGS_avx512 := -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512
FLAGS_neon   :=
# An instruction set that only adds to another one (-DNIB_BASE) has kernels of its own for few files.
ADDED_x86_64      := avx512vnni avx2vnni
ADDED_aarch64     := neoni8mm neondot
ADDED             := $(ADDED_$(ARCH))
ifeq ($(findstring clang,$(CXX)),)
FLAGS_avx512 += -Wno-uninitialized -Wno-maybe-uninitialized # GCC 12 warns about its own avx512fintrin.h
FLAGS_neon   += -fno-schedule-insns # GCC's first scheduler hoists loads until the tiles' sums lie in memory
endif
FLAGS_avx512vnni = $(FLAGS_avx512) -mavx512vnni -DNIB_BASE=avx512
FLAGS_avx2vnni    = $(FLAGS_avx2) -mavxvnni -DNIB_BASE=avx2
FLAGS_neondot     = $(FLAGS_neon) -march=armv8.2-a+dotprod -DNIB_BASE=neon
FLAGS_neoni8mm    = $(FLAGS_neon) -march=armv8.2-a+dotprod+i8mm -DNIB_BASE=neon

KERNEL_SRC := $(filter-out src/cpu/backend.cpp src/cpu/isa.cpp,$(wildcard src/cpu/*.cpp))
SMALL      := tools/% src/model/% src/train/% src/vulkan/% src/io/json% src/io/pickle% src/io/safetensors.cpp src/io/torch_file.cpp \
              src/io/checkpoint_source.cpp src/io/gguf%
ADDED_SRC  := src/cpu/linear_blocks.cpp src/cpu/table.cpp
NIB_SRC    := $(filter-out $(KERNEL_SRC),$(shell find src -name '*.cpp' | LC_ALL=C sort))
KERNEL_OBJ := $(foreach isa,$(ISAS),$(KERNEL_SRC:%.cpp=$(OBJ)/%.$(isa).o)) \
              $(foreach isa,$(ADDED),$(ADDED_SRC:%.cpp=$(OBJ)/%.$(isa).o))
NIB_OBJ    := $(NIB_SRC:%.cpp=$(OBJ)/%.o) $(KERNEL_OBJ)
SHADERS    := $(patsubst %.comp,$(OBJ)/%.spv,$(sort $(wildcard shaders/*.comp)))
TOOL_OBJ   := $(patsubst %.cpp,$(OBJ)/%.o,$(wildcard tools/*.cpp))
TEST_OBJ   := $(patsubst %.cpp,$(OBJ)/%.o,$(filter-out tests/fuzz_%,$(wildcard tests/*.cpp)))
FUZZERS    := $(patsubst tests/%.cpp,$(BUILD)/%,$(wildcard tests/fuzz_*.cpp))
FUZZ_OBJ   := $(filter $(OBJ)/src/core/% $(OBJ)/src/io/% $(OBJ)/src/text/% $(OBJ)/src/model/% $(OBJ)/src/ref/%,$(NIB_OBJ)) # what reads files

# ---- flags ---------------------------------------------------------------------------------------------------------
# Contraction is off everywhere: the reference gives the same bits on every compiler, kernels say fma where they mean it.
BASE := -std=c++20 -Isrc -I$(OBJ) -pthread -ffp-contract=off -Wall -Wextra -Wpedantic $(if $(WERROR),-Werror)
# A kernel throws nothing: no tables for unwinding it, and the runtime's shared helpers stay out of its object.
KERNEL_BASE := -fno-exceptions -fno-rtti -fno-unwind-tables -fno-asynchronous-unwind-tables
UBSAN := undefined -fno-sanitize-recover=undefined
ifeq ($(VARIANT),asan)
MODE := -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,$(UBSAN)
else ifeq ($(VARIANT),tsan)
MODE := -O1 -g1 -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
MODE := -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,$(UBSAN)
else
MODE        := -O2 -ffunction-sections -fdata-sections
KERNEL_MODE := -O3 -DNDEBUG
SMALL_MODE  := -Os # what is not computed often: small counts, see MAX_BYTES
LINK_MODE   := -static-libstdc++ -static-libgcc -Wl,--gc-sections
RELEASE     := -s
endif
ifneq ($(filter asan tsan,$(VARIANT)),)
SMALL      += tests/%
SMALL_MODE := -O0 # compiling takes more of their time than running
endif
ifneq ($(findstring -fsanitize,$(MODE)),)
RUN := $(shell setarch $(ARCH) -R true 2>/dev/null && echo setarch $(ARCH) -R) # they fail where addresses are very random
endif
ifdef CROSS
SYSROOT ?= $(BUILD)/sysroot
BASE    += -isystem $(SYSROOT)/usr/include
RUN     := qemu-$(ARCH) -L /usr/$(CROSS)
endif
MAX_BYTES := 8388608

# The full path of a static library, for the target; looked up when it is needed, since it may have to be installed first.
static_lib = $(if $(CROSS),$(SYSROOT)/usr/lib/$(CROSS)/$1,$(shell $(CXX) -print-file-name=$1))
NIB_LIBS   = $(call static_lib,libutf8proc.a) $(call static_lib,libpcre2-8.a) $(call static_lib,libz.a)
TEST_LIBS  = $(call static_lib,libgtest_main.a) $(call static_lib,libgtest.a)

# ---- Debian packages: package=header, package=command or package=file, only what the goals need -----------------------------------
TESTING := $(filter test asan tsan,$(GOALS))
CXX_PACKAGE := $(if $(findstring clang,$(CXX)),clang-14,$(subst _,-,g++$(CROSS:%=-%)))
ifneq ($(filter-out clean help format,$(GOALS)),)
NEED := $(CXX_PACKAGE)=$(CXX) glslc=glslc spirv-tools=spirv-val
LIBS := libxsimd-dev=xsimd/xsimd.hpp libcli11-dev=CLI/CLI.hpp nlohmann-json3-dev=nlohmann/json.hpp \
        libutf8proc-dev=utf8proc.h libpcre2-dev=pcre2.h zlib1g-dev=zlib.h libvulkan-dev=vulkan/vulkan.h \
        $(if $(TESTING)$(CROSS),libgtest-dev=gtest/gtest.h)
NEED += $(if $(CROSS),$(if $(TESTING),qemu-user=qemu-$(ARCH)),$(LIBS))
endif
NEED += $(if $(filter test format,$(GOALS)),$(if $(CROSS),,clang-format-14=clang-format-14))
NEED += $(if $(TESTING),$(if $(CROSS),,mesa-vulkan-drivers=/usr/share/vulkan/icd.d/lvp_icd.$(ARCH).json \
    vulkan-validationlayers=/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json))
NEED += $(if $(filter fuzz,$(GOALS)),clang-14=clang++-14 libclang-rt-14-dev=fuzzer/FuzzedDataProvider.h)
DEPS_OK := $(BUILD)/.deps-ok$(if $(TESTING),-test)$(if $(filter format,$(GOALS)),-format)$(if $(filter fuzz,$(GOALS)),-fuzz)

$(DEPS_OK): Makefile
	@mkdir -p $(@D); sh mk/packages.sh $(NEED) && touch $@

# Cross builds: the target's packages are fetched by apt into a private state folder and unpacked below build/, so that the
# machine's own package database and list of architectures stay as they are; signatures are checked as always. Where apt's
# sources do not carry the architecture, give SYSROOT=folder (with usr/include and usr/lib/$(CROSS)) yourself.
DEB_ARCH_aarch64 := arm64
DEB_ARCH_x86_64  := amd64
APT = apt-get -q -o APT::Architecture=$(DEB_ARCH_$(ARCH)) -o APT::Architectures=$(DEB_ARCH_$(ARCH)) \
    -o APT::Sandbox::User=root -o Dir::State=$(CURDIR)/$(SYSROOT)/apt -o Dir::State::status=/dev/null \
    -o Dir::Cache=$(CURDIR)/$(SYSROOT)/apt -o Acquire::Languages=none
ifeq ($(origin SYSROOT),file)
DEPS_OK += $(SYSROOT)/.ok
$(SYSROOT)/.ok: $(BUILD)/.libs | $(firstword $(DEPS_OK))
	@echo "fetching the $(DEB_ARCH_$(ARCH)) libraries into $(SYSROOT)"; rm -rf $(SYSROOT)
	@mkdir -p $(SYSROOT)/apt/lists/partial $(SYSROOT)/apt/archives/partial
	$(Q)$(APT) update > $(SYSROOT)/apt.log && cd $(SYSROOT)/apt && \
	$(APT) download $(foreach need,$(LIBS),$(firstword $(subst =, ,$(need)))) >> ../apt.log && \
	for deb in *.deb; do dpkg-deb -x $$deb ..; done && rm -rf ../apt && touch ../.ok
endif

# ---- compile and link ----------------------------------------------------------------------------------------------
.PHONY: all test probe demo bench asan tsan fuzz format install deps clean help FORCE $(FUZZERS:%=%.result)
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

compile = @mkdir -p $(@D); $(if $(V),,echo "  CXX  $(@:$(OBJ)/%=%)";)
link    = $(if $(V),,@echo "  LINK $@")
CXX_O   = $(CXX) $(BASE) $(MODE) -MMD -MP
LINK_O  = $(CXX) $(MODE) $(LINK_MODE) -pthread $(filter %.o,$^)

$(OBJ)/%.o: %.cpp $(BUILD)/.flags Makefile | $(DEPS_OK) $(OBJ)/shaders/names.inc
	$(compile)
	$(Q)$(CXX_O) $(if $(filter $(SMALL),$<),$(SMALL_MODE)) $(CXXFLAGS) -c $< -o $@

# Shaders become SPIR-V, without and with sums over subgroups, and all of it a gzip file, as numbers for the compiler to include.
define shader_rule
$(OBJ)/shaders/%$(1).spv: shaders/%.comp $(wildcard shaders/*.glsl) $(OBJ)/shaders/operands.glsl Makefile | $(DEPS_OK)
	@mkdir -p $$(@D); $(if $(V),,echo "  GLSL $$(@:$(OBJ)/%=%)")
	$$(Q)glslc --target-env=vulkan1.1 -Os -Werror -I$(OBJ)/shaders $(2) $$< -o $$@ && spirv-opt --compact-ids $$@ -o $$@ && \
	    spirv-val --target-env vulkan1.1 $$@
endef
$(eval $(call shader_rule,,))
$(eval $(call shader_rule,.subgroups,-DSUBGROUPS))
$(OBJ)/shaders/code.inc: mk/pack_shaders.pl $(BUILD)/.shaders $(SHADERS) $(SHADERS:.spv=.subgroups.spv)
	$(Q)perl $< $(SHADERS) | gzip -9n | od -An -v -tu1 | sed 's/ *\([0-9][0-9]*\)/\1,/g' > $@
$(OBJ)/src/vulkan/shaders.o: $(OBJ)/shaders/code.inc

# The operands of ops for shaders: const int Linear_x = 0; and so on.
$(OBJ)/shaders/operands.glsl: src/core/op_table.inc Makefile | $(DEPS_OK)
	@mkdir -p $(@D)
	$(Q)$(CXX) -E -P -x c++ '-DOP(Name, name, inputs, outputs, ...)=op Name inputs outputs' '-DIN(name, ...)=in name' \
	    -DOPTIONAL_IN=IN '-DOUT(name, ...)=out name' -DOPTIONAL_OUT=OUT $< | awk '{ for (i = 1; i < NF; i += 2) \
	    if ($$i == "op") { op = $$(i + 1); count["in"] = count["out"] = 0 } else \
	    print "const int " op "_" $$(i + 1) " = " ($$i == "out" ? "kMaxIn + " : "") count[$$i]++ ";" }' > $@

# What src/vulkan/shaders.h says of them: embed_backward is kEmbedBackward.
$(OBJ)/shaders/names.inc: $(BUILD)/.shaders
	@mkdir -p $(@D); tr ' ' '\n' < $< | sed -E 's/(^|_)(.)/\U\2/g' | \
	    awk '{ print "inline constexpr Shader k" $$0 "{" NR - 1 "};" }' > $@

define kernel_rule
$(OBJ)/%.$(1).o: %.cpp $(BUILD)/.flags Makefile | $(DEPS_OK)
	$$(compile)
	$(Q)$$(CXX_O) $$(KERNEL_BASE) $$(KERNEL_MODE) -DNIB_ISA=$(1) $$(FLAGS_$(1)) $$(CXXFLAGS) -c $$< -o $$@
endef
$(foreach isa,$(ISAS) $(ADDED),$(eval $(call kernel_rule,$(isa))))

$(NIB): $(NIB_OBJ) $(TOOL_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) $(RELEASE) $(NIB_LIBS) $(LDFLAGS) -o $@
	$(if $(RELEASE),@[ $$(stat -c %s $@) -le $(MAX_BYTES) ] || { echo "$@ is larger than $(MAX_BYTES) bytes"; exit 1; })

$(TESTS): $(NIB_OBJ) $(TEST_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) $(TEST_LIBS) $(NIB_LIBS) $(LDFLAGS) -o $@

$(FUZZERS): $(BUILD)/%: $(OBJ)/tests/%.o $(FUZZ_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) -fsanitize=fuzzer $(NIB_LIBS) $(LDFLAGS) -o $@

-include $(patsubst %.o,%.d,$(NIB_OBJ) $(TOOL_OBJ) $(TEST_OBJ) $(FUZZERS:$(BUILD)/%=$(OBJ)/tests/%.o))

# ---- tests: GoogleTest's cases and the scripts tests/*.sh, which find $NIB, $OBJ and $NM in their environment ----------
CHECKS := $(filter-out $(if $(CROSS),%/check_format.sh) $(if $(RELEASE),,%/check_format.sh %/check_symbols.sh), \
    $(if $(filter tsan,$(VARIANT)),,$(wildcard tests/*.sh)))

test: $(if $(CHECKS),$(NIB)) $(TESTS)
	@NIB_QUICK=$(QUICK) NIB="$(strip $(RUN) $(CURDIR)/$(NIB))" OBJ=$(OBJ) NM=$(CROSS:%=%-)nm \
	    bash mk/test.sh $(LOG) $(CHECKS) -- $(RUN) $(TESTS) --gtest_filter='$(or $(FILTER),*)'

# Whether programs of this variant run on this machine: sanitizers may want what a container does not permit.
probe: | $(DEPS_OK)
	@echo 'int main() {}' | $(CXX) $(MODE) $(LINK_MODE) -x c++ - -o $(BUILD)/probe && timeout 20 $(RUN) $(BUILD)/probe

# A sanitizer, a fuzzer: the same Makefile again, with other flags and another folder.
asan: | $(DEPS_OK)
	@$(MAKE) --no-print-directory VARIANT=asan test
tsan: | $(DEPS_OK)
	@$(MAKE) --no-print-directory VARIANT=tsan FILTER='$(or $(TSAN_FILTER),*-*Vulkan*)' test # no driver is instrumented

# Seeds of tests/fuzz_NAME.cpp: tests/fuzz_*/NAME/. What a run finds is kept in build/fuzz/corpus/NAME, crashes in build/fuzz.
FUZZ_SECONDS ?= 60
ifneq ($(VARIANT),fuzz)
fuzz: | $(DEPS_OK)
	@$(MAKE) --no-print-directory VARIANT=fuzz CXX=clang++-14 fuzz
else
fuzz: $(FUZZERS:%=%.result)
	@passed=$$(cat $^ /dev/null | grep -c passed); failed=$$(($(words $^) - passed)); \
	echo "$$passed passed, $$failed failed"; [ $$failed = 0 ]
$(FUZZERS:%=%.result): $(BUILD)/fuzz_%.result: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*; echo "  FUZZ $* for $(FUZZ_SECONDS) s"; \
	if $(RUN) $< -max_total_time=$(FUZZ_SECONDS) -timeout=20 -artifact_prefix=$<- $(BUILD)/corpus/$* \
	    $(wildcard tests/fuzz_*/$*) > $<.log 2>&1; then echo passed > $@; \
	else echo failed > $@; echo "FAILED: $<"; tail -n 40 $<.log; fi
endif

# ---- use -----------------------------------------------------------------------------------------------------------
DEMO_TEXT  := tools/demo/fables.txt
DEMO_MODEL := $(BUILD)/demo/fables.gguf
DEMO_TRAIN := --context 128 --dropout 0.1 --iters 1600
DEMO_RUN   := -p "THE FOX AND" -n 600 --temp 0.6 --seed 1

demo: $(NIB)
	@rm -rf $(dir $(DEMO_MODEL)); mkdir -p $(dir $(DEMO_MODEL))
	$(RUN) $(NIB) train $(DEMO_TEXT) -o $(DEMO_MODEL) $(DEMO_TRAIN)
	$(RUN) $(NIB) run $(DEMO_MODEL) $(DEMO_RUN)

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
