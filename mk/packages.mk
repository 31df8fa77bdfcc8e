# Debian packages, as package=header, package=command or package=file: only what the goals need is installed.
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
    vulkan-validationlayers=/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json \
    libedit2=/usr/lib/$(ARCH)-linux-gnu/libedit.so.2))
NEED += $(if $(filter fuzz,$(GOALS)),clang-14=clang++-14 libclang-rt-14-dev=fuzzer/FuzzedDataProvider.h)
DEPS_OK := $(BUILD)/.deps-ok$(if $(TESTING),-test)$(if $(filter format,$(GOALS)),-format)$(if $(filter fuzz,$(GOALS)),-fuzz)

$(DEPS_OK): mk/packages.mk
	@mkdir -p $(@D); sh mk/packages.sh $(NEED) && touch $@
