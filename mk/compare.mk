# Comparisons with other programs (docs/comparing.md): scripts in tests/compare, not part of `make test`. They want a Python with
# PyTorch and transformers; what else is not named is left out.
PYTHON   ?= python3
COMPARE  := tests/compare
TRAIN_ON := $(BUILD)/train_on_batches

$(TRAIN_ON): $(OBJ)/$(COMPARE)/train_on_batches.o $(NIB_OBJ) $(BUILD)/.sources
	$(link)
	$(Q)$(LINK_O) $(NIB_LIBS) $(LDFLAGS) -o $@

compare: $(NIB) $(TRAIN_ON)
	$(if $(PEERS),,$(error make compare PYTHON=... PEERS=... names a Python with PyTorch and the folder of hf_family.py))
	$(PYTHON) $(COMPARE)/compare_transformers.py $(NIB) $(TRAIN_ON) $(PEERS)/hf_family.py
	$(if $(MODELS),$(PYTHON) $(COMPARE)/compare_bert.py $(NIB) $(MODELS) $(DATA))
	$(if $(SMOLLM2),$(PYTHON) $(COMPARE)/compare_smollm2.py $(NIB) $(SMOLLM2) $(DATA))
	$(if $(LLAMA_PYTHON),$(PYTHON) $(COMPARE)/compare_llamacpp.py $(NIB) $(LLAMA_PYTHON) $(PEERS)/hf_family.py \
	    $(if $(SMOLLM2),--smollm2 $(SMOLLM2)) $(if $(CONVERTER),--converter $(CONVERTER)))

-include $(OBJ)/$(COMPARE)/train_on_batches.d
