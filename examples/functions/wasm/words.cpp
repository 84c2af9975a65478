// SPDX-License-Identifier: MIT
// A WebAssembly function in C++: how often each word comes in its event. The standard library is
// there; exceptions are not.
//
//     clang++ --target=wasm32-wasi -O2 -fno-exceptions -s -o handler.wasm words.cpp
//     novactl register words --runtime wasm --code handler.wasm
//
// Debian: clang lld wasi-libc libclang-rt-dev-wasm32 libc++-dev-wasm32
#include <cctype>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>

static std::string read_all(const char *path)
{
	std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path, "r"), std::fclose);
	std::string text;
	for (int c; file && (c = std::fgetc(file.get())) != EOF;)
		text += static_cast<char>(c);
	return text;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return std::fputs("usage: handler EVENT.json\n", stderr), 1;
	std::map<std::string, int> counts;
	std::string word;
	for (unsigned char c : read_all(argv[1])) {
		if (std::isalnum(c))
			word += static_cast<char>(std::tolower(c));
		else if (!word.empty())
			counts[std::exchange(word, {})]++;
	}
	const char *before = "{";
	for (const auto &[text, count] : counts) {
		std::printf("%s\"%s\":%d", before, text.c_str(), count);
		before = ",";
	}
	std::puts(counts.empty() ? "{}" : "}");
}
