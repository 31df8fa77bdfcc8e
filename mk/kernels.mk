# SIMD kernels: src/cpu/NAME.cpp is compiled once per instruction set, to NAME.ISA.o.
ISAS_x86_64  := sse42 avx2 avx512
ISAS_aarch64 := neon
ISAS         := $(ISAS_$(ARCH))
FLAGS_sse42  := -msse4.2
FLAGS_avx2   := -mavx2 -mfma -mf16c
FLAGS_avx512 := -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512
FLAGS_neon   :=
ifeq ($(findstring clang,$(CXX)),)
FLAGS_avx512 += -Wno-uninitialized -Wno-maybe-uninitialized # GCC 12 warns about its own avx512fintrin.h
FLAGS_neon   += -fno-schedule-insns # GCC's first scheduler hoists loads until the tiles' sums lie in memory
endif

# An instruction set that only adds to another one (-DNIB_BASE) has kernels of its own for few files.
ADDED_x86_64     := avx512vnni avx2vnni
ADDED_aarch64    := neoni8mm neondot
ADDED            := $(ADDED_$(ARCH))
ADDED_SRC        := src/cpu/linear_blocks.cpp src/cpu/table.cpp
FLAGS_avx512vnni := $(FLAGS_avx512) -mavx512vnni -DNIB_BASE=avx512
FLAGS_avx2vnni   := $(FLAGS_avx2) -mavxvnni -DNIB_BASE=avx2
FLAGS_neondot    := $(FLAGS_neon) -march=armv8.2-a+dotprod -DNIB_BASE=neon
FLAGS_neoni8mm   := $(FLAGS_neon) -march=armv8.2-a+dotprod+i8mm -DNIB_BASE=neon

KERNEL_SRC  := $(filter-out src/cpu/backend.cpp src/cpu/isa.cpp,$(wildcard src/cpu/*.cpp))
KERNEL_OBJ  := $(foreach isa,$(ISAS),$(KERNEL_SRC:%.cpp=$(OBJ)/%.$(isa).o)) \
               $(foreach isa,$(ADDED),$(ADDED_SRC:%.cpp=$(OBJ)/%.$(isa).o))
KERNEL_BASE := -fno-exceptions -fno-rtti # the runtime's shared helpers stay out of their objects, see tests/check_symbols.sh

define kernel_rule
$(OBJ)/%.$(1).o: %.cpp $(BUILD)/.flags $(MAKE_FILES) | $(DEPS_OK)
	$$(compile)
	$(Q)$$(CXX_O) $(KERNEL_BASE) $(KERNEL_MODE) -DNIB_ISA=$(1) $(FLAGS_$(1)) $$(CXXFLAGS) -c $$< -o $$@
endef
$(foreach isa,$(ISAS) $(ADDED),$(eval $(call kernel_rule,$(isa))))
