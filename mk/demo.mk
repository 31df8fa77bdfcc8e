# Demonstrations on what is in tools/demo: a model of fables, and a chat with it that is trained in all stages.
DEMO_TEXT  := tools/demo/fables.txt
DEMO_MODEL := $(BUILD)/demo/fables.gguf
DEMO_TRAIN := --context 128 --dropout 0.1 --iters 1600
DEMO_RUN   := -p "THE FOX AND" -n 600 --temp 0.6 --seed 1

demo: $(NIB)
	@rm -rf $(dir $(DEMO_MODEL)); mkdir -p $(dir $(DEMO_MODEL))
	$(RUN) $(NIB) train $(DEMO_TEXT) -o $(DEMO_MODEL) $(DEMO_TRAIN)
	$(RUN) $(NIB) run $(DEMO_MODEL) $(DEMO_RUN)

ALIGN       := $(BUILD)/demo-align
ALIGN_BASE  := --tokenizer bpe:1000 --context 128 --dropout 0.1 --iters 1000 --val-fraction 0 --sample-prompt "The fox"
ALIGN_CHAT  := --template chatml --add-tokens "<|im_start|>,<|im_end|>" --epochs 40 --lr 1e-3 --batch 16 --dropout 0.1 \
    --sample-prompt "What does the bear like?"
ALIGN_PPO   := --task ppo --reward-command tools/demo/cheese.sh --max-new 24 --iters 400 --val tools/demo/prompts.jsonl

demo-align: $(NIB)
	@rm -rf $(ALIGN); mkdir -p $(ALIGN)
	$(RUN) $(NIB) train $(DEMO_TEXT) -o $(ALIGN)/base.gguf $(ALIGN_BASE)
	$(RUN) $(NIB) train tools/demo/dialogues.jsonl -o $(ALIGN)/sft.gguf --from $(ALIGN)/base.gguf $(ALIGN_CHAT)
	$(RUN) $(NIB) train tools/demo/prompts.jsonl -o $(ALIGN)/ppo.gguf --from $(ALIGN)/sft.gguf $(ALIGN_PPO)
	@tools/demo/compare.sh $(ALIGN)/sft.gguf $(ALIGN)/ppo.gguf tools/demo/prompts.jsonl tools/demo/cheese.sh $(RUN) $(NIB)
	@echo "Talk to both: $(NIB) chat $(ALIGN)/ppo.gguf --compare $(ALIGN)/sft.gguf"
