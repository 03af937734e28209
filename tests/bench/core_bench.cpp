// What the core costs, each beside its floor: the least that something of its kind could cost on this
// machine.

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/bridge.h"
#include "engine/registry.h"
#include "engine/selector.h"
#include "engine/token.h"
#include "engine/workers.h"

namespace cancelable {
namespace {

constexpr OperationId kMany = 100'000;

Operation operation(OperationId id, OperationId parent = 0) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = "user_" + std::to_string(id % 1000) + "_job_" + std::to_string(id);
    spec->command = {"job"};
    spec->parent = parent;
    spec->created_at = wall_now();
    Operation made;
    made.spec = std::move(spec);
    return made;
}

// A registry of that many live operations; every hundredth is running.
std::unique_ptr<Registry> registry_of(OperationId count) {
    auto registry = std::make_unique<Registry>();
    for (OperationId id = 1; id <= count; ++id) {
        registry->register_operation(operation(id, id % 1000 == 0 ? 1 : 0));
        if (id % 100 == 0)
            (void)registry->update(id, [](Operation& edited) { edited.status = Status::running; });
    }
    return registry;
}

// Tokens.

void floor_atomic_load(benchmark::State& state) {
    const auto flag = std::make_shared<std::atomic<std::uint64_t>>(0);
    for (auto _ : state)
        benchmark::DoNotOptimize(flag->load(std::memory_order_acquire) != 0);
}
BENCHMARK(floor_atomic_load);

void is_cancelled(benchmark::State& state) {
    const CancelationToken token;
    for (auto _ : state)
        benchmark::DoNotOptimize(token.is_cancelled());
}
BENCHMARK(is_cancelled);  // to be within twice the floor

constexpr std::size_t kBatch = 4096;

void floor_exchange_and_clock(benchmark::State& state) {
    std::vector<std::unique_ptr<std::atomic<std::uint64_t>>> words(kBatch);
    while (state.KeepRunningBatch(kBatch)) {
        state.PauseTiming();
        for (auto& word : words)
            word = std::make_unique<std::atomic<std::uint64_t>>(0);
        state.ResumeTiming();
        for (auto& word : words)
            word->exchange(static_cast<std::uint64_t>(wall_now().time_since_epoch().count()));
    }
}
BENCHMARK(floor_exchange_and_clock);

void cancel(benchmark::State& state, const std::string& message) {
    std::vector<CancelationToken> tokens(kBatch);
    while (state.KeepRunningBatch(kBatch)) {
        state.PauseTiming();
        for (CancelationToken& token : tokens)
            token = CancelationToken();
        state.ResumeTiming();
        for (CancelationToken& token : tokens)
            token.cancel(CancelationReason::manual, message);
    }
}
BENCHMARK_CAPTURE(cancel, no_callback, std::string());  // to be under 100 ns
BENCHMARK_CAPTURE(cancel, no_callback_but_a_message, std::string("stopped by its user"));

void cancel_from_signal(benchmark::State& state) {
    std::vector<CancelationToken> tokens(kBatch);
    while (state.KeepRunningBatch(kBatch)) {
        state.PauseTiming();
        for (CancelationToken& token : tokens)
            token = CancelationToken();
        state.ResumeTiming();
        for (CancelationToken& token : tokens)
            token.cancel_from_signal(SIGINT);
    }
}
BENCHMARK(cancel_from_signal);

void register_and_unregister_callback(benchmark::State& state) {
    const CancelationToken token;
    for (auto _ : state)
        benchmark::DoNotOptimize(token.on_cancel([] {}));
}
BENCHMARK(register_and_unregister_callback);

void link_and_drop_a_child(benchmark::State& state) {
    const CancelationToken parent;
    for (auto _ : state) {
        CancelationToken child;
        child.link(parent);
    }
}
BENCHMARK(link_and_drop_a_child);

void cancel_a_tree(benchmark::State& state) {
    const auto children = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        CancelationToken parent;
        std::vector<CancelationToken> tree(children);
        for (CancelationToken& child : tree)
            child.link(parent);
        state.ResumeTiming();
        parent.cancel(CancelationReason::manual);
    }
    state.SetComplexityN(state.range(0));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(cancel_a_tree)->RangeMultiplier(10)->Range(100, 100'000)->Complexity(benchmark::oN);

// The registry.

void floor_map_insert_and_erase(benchmark::State& state) {
    std::map<OperationId, Snapshot> map;
    const auto shared = std::make_shared<const Operation>(operation(1));
    for (OperationId id = 1; id <= kMany; ++id)
        map.emplace_hint(map.end(), id, shared);
    OperationId next = kMany;
    for (auto _ : state) {
        map.emplace_hint(map.end(), ++next, std::make_shared<const Operation>(*shared));
        map.erase(next - kMany / 2);
    }
}
BENCHMARK(floor_map_insert_and_erase);

// Each registered operation stays a while: what is unregistered is an older one.
void register_and_unregister(benchmark::State& state) {
    const auto registry = registry_of(kMany);
    const auto spec = operation(1).spec;
    OperationId next = kMany;
    for (auto _ : state) {
        Operation made;
        auto mine = std::make_shared<OperationSpec>(*spec);
        mine->id = ++next;
        made.spec = std::move(mine);
        registry->register_operation(std::move(made));
        registry->unregister(next - kMany / 2);
    }
}
BENCHMARK(register_and_unregister);  // to be under 1 µs, beside 100,000 live ones

void update(benchmark::State& state) {
    const auto registry = registry_of(kMany);
    OperationId id = 0;
    for (auto _ : state) {
        id = id % kMany + 1;
        (void)registry->update(id, [](Operation& edited) { edited.pid = 1; });
    }
}
BENCHMARK(update);

void get_operation(benchmark::State& state) {
    const auto registry = registry_of(kMany);
    OperationId id = 0;
    for (auto _ : state) {
        id = (id + 7919) % kMany + 1;
        benchmark::DoNotOptimize(registry->get_operation(id));
    }
}
BENCHMARK(get_operation);

void floor_fnmatch(benchmark::State& state) {
    std::vector<std::string> names;
    for (OperationId id = 1; id <= kMany; ++id)
        names.push_back(operation(id).spec->name);
    for (auto _ : state) {
        std::size_t matched = 0;
        for (const std::string& name : names)
            matched += glob_matches("user_42_*", name) ? 1 : 0;
        benchmark::DoNotOptimize(matched);
    }
}
BENCHMARK(floor_fnmatch)->Unit(benchmark::kMillisecond);

void list_by(benchmark::State& state, const Selector& selector) {
    const auto registry = registry_of(kMany);
    for (auto _ : state)
        benchmark::DoNotOptimize(registry->list(selector));
}
BENCHMARK_CAPTURE(list_by, glob_over_100000, Selector{.globs = {"user_42_*"}})
    ->Unit(benchmark::kMillisecond);  // to be under 20 ms
BENCHMARK_CAPTURE(list_by, status_index_1000_of_100000, Selector{.statuses = {Status::running}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(list_by, parent_index_100_of_100000, Selector{.parent = 1})->Unit(benchmark::kMillisecond);

void cancel_all_by_glob(benchmark::State& state) {
    for (auto _ : state) {
        state.PauseTiming();
        auto registry = registry_of(kMany);
        state.ResumeTiming();
        benchmark::DoNotOptimize(registry->cancel_all({.globs = {"user_*"}}, CancelationReason::manual));
        state.PauseTiming();
        registry.reset();
        state.ResumeTiming();
    }
}
BENCHMARK(cancel_all_by_glob)->Unit(benchmark::kMillisecond)->Iterations(5);

void statistics(benchmark::State& state) {
    const auto registry = registry_of(kMany);
    for (auto _ : state)
        benchmark::DoNotOptimize(registry->get_statistics());
}
BENCHMARK(statistics);

void floor_calling_functions(benchmark::State& state) {
    std::uint64_t heard = 0;
    const std::vector<std::function<void(const Transition&)>> functions(
        static_cast<std::size_t>(state.range(0)), [&](const Transition& step) { heard += step.revision; });
    const Transition step;
    for (auto _ : state)
        for (const auto& function : functions)
            function(step);
    benchmark::DoNotOptimize(heard);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(floor_calling_functions)->Arg(1000);

void listener_fan_out(benchmark::State& state) {
    Registry registry;
    registry.register_operation(operation(1));
    std::uint64_t heard = 0;
    std::vector<Registry::Subscription> subscriptions;
    for (std::int64_t i = 0; i < state.range(0); ++i)
        subscriptions.push_back(registry.subscribe([&](const Transition& step) { heard += step.revision; }));
    for (auto _ : state)
        (void)registry.update(1, [](Operation& edited) { edited.pid = 1; });
    benchmark::DoNotOptimize(heard);
    state.SetComplexityN(state.range(0));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(listener_fan_out)->RangeMultiplier(10)->Range(1, 10'000)->Complexity(benchmark::oN);  // to be O(N)

// The bridge.

constexpr std::size_t kCalls = 1'000'000;

// Two threads call body(producer) together; items are calls.
template <class Body>
void two_producers(benchmark::State& state, Body body) {
    for (auto _ : state) {
        std::vector<std::jthread> producers;
        for (int producer = 0; producer < 2; ++producer)
            producers.emplace_back([&] { body(); });
    }
    state.SetItemsProcessed(
        static_cast<std::int64_t>(static_cast<std::size_t>(state.iterations()) * 2 * kCalls));
}

void floor_async_send_per_call(benchmark::State& state) {
    Loop loop;
    std::atomic<bool> over = false;
    Wake wake(loop, [&] {
        if (over) loop.stop();
    });
    std::jthread runner([&] { loop.run(); });
    two_producers(state, [&] {
        for (std::size_t i = 0; i < kCalls; ++i)
            wake.notify();
    });
    over = true;
    wake.notify();
    runner.join();
}
BENCHMARK(floor_async_send_per_call)->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

void call_soon_threadsafe(benchmark::State& state) {
    Loop loop;
    LoopBridge::Options options;
    options.buffer_size = static_cast<std::size_t>(state.range(0));
    options.when_full = WhenFull::block_for(std::chrono::minutes(1));
    LoopBridge bridge(loop, options);
    std::uint64_t ran = 0;
    std::thread runner([&] { loop.run(); });
    two_producers(state, [&] {
        for (std::size_t i = 0; i < kCalls; ++i)
            if (!bridge.call_soon_threadsafe([&] { ++ran; })) std::abort();
    });
    (void)bridge.call_soon_threadsafe([&] { loop.stop(); });
    runner.join();
    if (ran != static_cast<std::uint64_t>(state.iterations()) * 2 * kCalls) std::abort();
}
BENCHMARK(call_soon_threadsafe)  // to be at least 3 million a second
    ->Arg(1000)
    ->Arg(100'000)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

void run_in_thread(benchmark::State& state) {
    WorkerPool pool(1);
    for (auto _ : state)
        benchmark::DoNotOptimize(pool.run_in_thread([] { return 1; }).get());
}
BENCHMARK(run_in_thread)->UseRealTime();

}  // namespace
}  // namespace cancelable

BENCHMARK_MAIN();
