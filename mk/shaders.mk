# Shaders become SPIR-V, without and with sums over subgroups, and its words C++ for the compiler to include.
SHADERS := $(patsubst %.comp,$(OBJ)/%.spv,$(sort $(wildcard shaders/*.comp)))

define shader_rule
$(OBJ)/shaders/%$(1).spv: shaders/%.comp $(wildcard shaders/*.glsl) $(MAKE_FILES) | $(DEPS_OK)
	@mkdir -p $$(@D); $(if $(V),,echo "  GLSL $$(@:$(OBJ)/%=%)")
	$(Q)glslc --target-env=vulkan1.1 -O -Werror $(2) $$< -o $$@ && spirv-val --target-env vulkan1.1 $$@
endef
$(eval $(call shader_rule,,))
$(eval $(call shader_rule,.subgroups,-DSUBGROUPS))

$(OBJ)/shaders/code.inc: mk/embed_shaders.sh $(BUILD)/.shaders $(SHADERS) $(SHADERS:.spv=.subgroups.spv)
	$(Q)sh $< $(SHADERS) > $@
$(OBJ)/src/vulkan/shaders.o: $(OBJ)/shaders/code.inc

# What src/vulkan/shaders.h says of them: embed_backward is kEmbedBackward.
$(OBJ)/shaders/names.inc: $(BUILD)/.shaders
	@mkdir -p $(@D); tr ' ' '\n' < $< | sed -E 's/(^|_)(.)/\U\2/g' | \
	    awk '{ print "inline constexpr Shader k" $$0 "{" NR - 1 "};" }' > $@
