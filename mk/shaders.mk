# Shaders become SPIR-V, without and with sums over subgroups, and its words C++ for the compiler to include. Compact ids let
# those without sums be the same in both.
SHADERS := $(patsubst %.comp,$(OBJ)/%.spv,$(sort $(wildcard shaders/*.comp)))

define shader_rule
$(OBJ)/shaders/%$(1).spv: shaders/%.comp $(wildcard shaders/*.glsl) src/vulkan/flags.inc $(OBJ)/shaders/operands.glsl $(MAKE_FILES) | $(DEPS_OK)
	@mkdir -p $$(@D); $(if $(V),,echo "  GLSL $$(@:$(OBJ)/%=%)")
	$(Q)glslc --target-env=vulkan1.1 -O -Werror -Isrc -I$(OBJ)/shaders $(2) $$< -o $$@.raw && spirv-opt --compact-ids $$@.raw -o $$@ && \
	    rm $$@.raw && spirv-val --target-env vulkan1.1 $$@
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

# The operands of ops for shaders: const int Linear_x = 0; and so on.
$(OBJ)/shaders/operands.glsl: src/core/op_table.inc $(MAKE_FILES) | $(DEPS_OK)
	@mkdir -p $(@D)
	$(Q)$(CXX) -E -P -x c++ '-DOP(Name, name, inputs, outputs, ...)=op Name inputs outputs' '-DIN(name, ...)=in name' \
	    -DOPTIONAL_IN=IN '-DOUT(name, ...)=out name' -DOPTIONAL_OUT=OUT $< | awk '{ for (i = 1; i < NF; i += 2) \
	    if ($$i == "op") { op = $$(i + 1); count["in"] = count["out"] = 0 } else \
	    print "const int " op "_" $$(i + 1) " = " ($$i == "out" ? "kMaxIn + " : "") count[$$i]++ ";" }' > $@
