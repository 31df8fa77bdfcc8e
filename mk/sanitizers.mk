# Sanitizers: the same Makefile again, with other flags and another folder.
UBSAN := undefined -fno-sanitize-recover=undefined
MODE_asan := -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,$(UBSAN)
MODE_tsan := -O1 -g1 -fsanitize=thread
MODE_fuzz := -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,$(UBSAN)

ifneq ($(MODE_$(VARIANT)),)
MODE := $(MODE_$(VARIANT))
KERNEL_MODE :=
LINK_MODE   :=
RELEASE     :=
RUN := $(shell setarch $(ARCH) -R true 2>/dev/null && echo setarch $(ARCH) -R) # they fail where addresses are very random
endif

asan: | $(DEPS_OK)
	@$(MAKE) --no-print-directory VARIANT=asan test
tsan: | $(DEPS_OK)
	@$(MAKE) --no-print-directory VARIANT=tsan FILTER='$(or $(TSAN_FILTER),*-*Vulkan*)' test # no driver is instrumented
