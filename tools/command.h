// The commands of the nib binary. Each has a file of its own, declares its options on `app` and runs from app.callback(). A
// command throws Error for anything wrong outside; main prints it and exits with 1.
#pragma once

#include <CLI/CLI.hpp>

namespace nib {

void train_command(CLI::App& app);
void log_command(CLI::App& app);
void run_command(CLI::App& app);
void chat_command(CLI::App& app);
void translate_command(CLI::App& app);
void eval_command(CLI::App& app);
void embed_command(CLI::App& app);
void fill_command(CLI::App& app);
void classify_command(CLI::App& app);
void tag_command(CLI::App& app);
void answer_command(CLI::App& app);
void search_command(CLI::App& app);
void attention_command(CLI::App& app);
void info_command(CLI::App& app);
void logits_command(CLI::App& app);
void convert_command(CLI::App& app);
void quantize_command(CLI::App& app);
void merge_command(CLI::App& app);
void export_command(CLI::App& app);
void tokenize_command(CLI::App& app);
void tokenizer_command(CLI::App& app);
void bench_command(CLI::App& app);
void selftest_command(CLI::App& app);
void devices_command(CLI::App& app);

}  // namespace nib
