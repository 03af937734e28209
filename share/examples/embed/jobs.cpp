// jobs: cancels its own work, from any thread.
//
// Three workers search for primes on behalf of two users. Meanwhile another thread reads what you type:
//
//   list               what is queued and what runs
//   cancel user_1_*    cancels by pattern: what is queued never starts, what runs finds its token set
//   stats              numbers over all
//   quit               or the end of input: cancels the rest
//
// A loop on the main thread is told of every change and prints it, as a user interface would show it.

#include <cancelable/engine/bridge.h>
#include <cancelable/engine/local_operation.h>
#include <cancelable/engine/registry.h>

#include <iostream>
#include <string>
#include <syncstream>
#include <thread>

using namespace cancelable;

namespace {

// A line of several threads' output, whole.
std::osyncstream say() {
    return std::osyncstream(std::cout);
}

// Work that takes for ever, so that somebody has to end it. It asks its token now and then, which is as cheap
// as a look at an atomic variable; check() leaves by an exception.
void search_for_primes(const CancelationToken& token) {
    std::uint64_t found = 0;
    for (std::uint64_t candidate = 2;; ++candidate) {
        if (candidate % 1024 == 0) token.check();
        bool prime = true;
        for (std::uint64_t divisor = 2; prime && divisor * divisor <= candidate; ++divisor)
            prime = candidate % divisor != 0;
        found += prime;
    }
}

void print(const Transition& step) {
    const Operation& now = *step.after;
    std::string why;
    if (now.cancelation) why = " (" + now.cancelation->message + ")";
    say() << now.spec->name << ": " << to_string(now.status) << why << std::endl;
}

// The cancel button. Everything that it calls may be called from any thread.
void obey(std::istream& input, Registry& registry) {
    std::string verb, pattern;
    while (input >> verb && verb != "quit") {
        if (verb == "cancel" && input >> pattern) {
            Selector selector;
            selector.globs = {pattern};
            const auto cancelled =
                registry.cancel_all(selector, CancelationReason::manual, "you asked for it");
            say() << cancelled.size() << " cancelled" << std::endl;
        } else if (verb == "list") {
            for (const Snapshot& job : registry.list({}))
                say() << job->id() << ' ' << job->spec->name << ' ' << to_string(job->status) << std::endl;
        } else if (verb == "stats") {
            const Statistics stats = registry.get_statistics();
            say() << stats.total_operations << " jobs: " << stats.active_operations << " active, "
                  << stats.cancelled_operations << " cancelled, " << stats.total_completed << " completed"
                  << std::endl;
        } else {
            say() << "what is " << verb << "? I know list, cancel PATTERN, stats and quit" << std::endl;
        }
    }
    registry.cancel_all({}, CancelationReason::shutdown, "the program ends");
}

}  // namespace

int main() {
    Registry registry;
    Loop loop;
    LoopBridge bridge(loop, {});
    WorkerPool workers(3);

    // Listeners run on whatever thread made the change: the bridge brings it to ours.
    const auto subscription =
        registry.subscribe([&](const Transition& step) { (void)bridge.call_soon_threadsafe(print, step); });

    for (const std::string user : {"user_1", "user_2"})
        for (const std::string part : {"_small", "_large"})
            (void)run_as_operation(registry, workers, {.name = user + part, .tags = {{"user", user}}},
                                   search_for_primes);

    std::jthread button([&] {
        obey(std::cin, registry);
        workers.stop();  // what was cancelled has returned
        (void)bridge.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run();
}
