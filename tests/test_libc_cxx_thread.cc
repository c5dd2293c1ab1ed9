/*
 * C++ thread_local destructors at the end of threads: they free, allocate and hand over blocks,
 * as do the destructors of objects made in destructors.
 */
#include "api.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

static std::atomic<std::string *> handed_over;
static std::atomic<int> destroyed;

struct late_one {
	std::vector<std::string> lines;

	~late_one()
	{
		for (int i = 0; i < 20; i++)
			lines.push_back(std::string(static_cast<size_t>(i) * 100, 'l'));
		CHECK(lines.size() == 20, "%zu lines", lines.size());
		destroyed++;
	}
};

struct at_exit_object {
	std::unique_ptr<std::string> text{new std::string(5000, 'a')};
	std::vector<char> bytes;

	~at_exit_object()
	{
		/* Made during destruction, so destroyed after all others. */
		static thread_local late_one late;

		late.lines.emplace_back("first");
		late.lines.clear();
		CHECK(text->size() == 5000 && text->back() == 'a', "a string was overwritten");
		bytes.assign(100000, 'b');
		delete handed_over.exchange(new std::string(3000, 'h'));
		destroyed++;
	}
};

static thread_local at_exit_object at_end;

static void body(int i)
{
	at_end.bytes.resize(static_cast<size_t>(i) % 3000);
	at_end.text->at(0) = 'a';
}

static void run_threads(int count)
{
	for (int i = 0; i < count; i += 4) {
		std::vector<std::thread> threads;

		for (int k = 0; k < 4; k++)
			threads.emplace_back(body, i + k);
		for (auto &thread : threads)
			thread.join();
	}
}

int main()
{
	api_begin();
	run_threads(400);
	size_t before = resident_bytes();
	run_threads(4000);
	CHECK(resident_bytes() < before + 3 * MIB, "4000 threads leave %zu KiB more",
		(resident_bytes() - before) / KIB);
	CHECK(destroyed == 2 * 4400, "%d destructors ran", destroyed.load());
	delete handed_over.exchange(nullptr);
	return 0;
}
