#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <atomic>
#include <latch>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "engine/token.h"

namespace cancelable {
namespace {

// A graph of links between tokens, as pairs of (parent, child).
struct Graph {
    std::size_t tokens = 0;
    std::vector<std::pair<std::size_t, std::size_t>> links;
    std::vector<std::size_t> roots;  // what is cancelled, by a thread each

    std::set<std::size_t> reachable() const {
        std::set<std::size_t> reached(roots.begin(), roots.end());
        for (std::size_t before = 0; before != reached.size();) {
            before = reached.size();
            for (const auto& [parent, child] : links)
                if (reached.contains(parent)) reached.insert(child);
        }
        return reached;
    }
};

Graph any_graph() {
    Graph graph;
    graph.tokens = *rc::gen::inRange<std::size_t>(1, 12);
    const auto token = rc::gen::inRange<std::size_t>(0, graph.tokens);
    graph.links =
        *rc::gen::container<std::vector<std::pair<std::size_t, std::size_t>>>(rc::gen::pair(token, token));
    graph.roots = *rc::gen::resize(4, rc::gen::container<std::vector<std::size_t>>(token));
    return graph;
}

TEST_CASE("property: however many threads cancel, in whatever way, exactly one wins and its reason stays") {
    CHECK(rc::check([] {
        const auto reasons = *rc::gen::resize(
            6, rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 10))));
        CancelationToken token;
        std::atomic<int> winners = 0, winning_reason = -1;
        std::latch go(static_cast<std::ptrdiff_t>(reasons.size()));
        std::vector<std::jthread> threads;
        for (const int reason : reasons)
            threads.emplace_back([&, reason] {
                go.arrive_and_wait();
                const bool won = reason == 1 ? token.cancel_from_signal(2)
                                             : token.cancel(static_cast<CancelationReason>(reason), "why");
                if (!won) return;
                ++winners;
                winning_reason = reason;
            });
        threads.clear();
        RC_ASSERT(winners == 1);
        RC_ASSERT(static_cast<int>(*token.reason()) == winning_reason);
        RC_ASSERT(token.message() == (winning_reason == 1 ? "SIGINT" : "why"));
    }));
}

TEST_CASE("property: cancelling reaches exactly what links lead to, and each callback there runs once") {
    CHECK(rc::check([] {
        const Graph graph = any_graph();
        const bool links_race = *rc::gen::arbitrary<bool>();
        std::vector<CancelationToken> tokens(graph.tokens);
        std::vector<std::atomic<int>> calls(graph.tokens);
        std::vector<CancelationToken::Registration> registrations;
        for (std::size_t i = 0; i < graph.tokens; ++i)
            registrations.push_back(tokens[i].on_cancel([&calls, i] { ++calls[i]; }));
        const auto link_all = [&] {
            for (const auto& [parent, child] : graph.links)
                tokens[child].link(tokens[parent]);
        };
        if (!links_race) link_all();
        std::vector<std::jthread> threads;
        for (const std::size_t root : graph.roots)
            threads.emplace_back(
                [&, root] { CancelationToken(tokens[root]).cancel(CancelationReason::manual); });
        if (links_race) threads.emplace_back(link_all);
        threads.clear();
        const auto reached = graph.reachable();
        for (std::size_t i = 0; i < graph.tokens; ++i) {
            RC_ASSERT(tokens[i].is_cancelled() == reached.contains(i));
            RC_ASSERT(calls[i] == (reached.contains(i) ? 1 : 0));
        }
    }));
}

TEST_CASE(
    "property: registering, unregistering, cancelling and delivering in any order calls what it should") {
    enum class Step { on_cancel, unregister, cancel, from_signal, deliver };
    CHECK(rc::check([] {
        const auto steps = *rc::gen::container<std::vector<Step>>(
            rc::gen::element(Step::on_cancel, Step::on_cancel, Step::on_cancel, Step::unregister,
                             Step::unregister, Step::cancel, Step::from_signal, Step::deliver));
        CancelationToken token;
        bool cancelled = false, undelivered = false;
        struct Callback {
            int calls = 0;
            int expected = 0;
            CancelationToken::Registration registration;
        };
        std::vector<std::unique_ptr<Callback>> callbacks;
        std::size_t oldest = 0;
        const auto all_run = [&] {
            for (std::size_t i = oldest; i < callbacks.size(); ++i)
                callbacks[i]->expected = 1;
        };
        for (const Step step : steps) {
            switch (step) {
                case Step::on_cancel: {
                    callbacks.push_back(std::make_unique<Callback>());
                    Callback* made = callbacks.back().get();
                    made->expected = cancelled ? 1 : 0;
                    made->registration = token.on_cancel([made] { ++made->calls; });
                    break;
                }
                case Step::unregister:
                    if (oldest < callbacks.size()) callbacks[oldest++]->registration = {};
                    break;
                case Step::cancel:
                    RC_ASSERT(token.cancel(CancelationReason::manual) == !cancelled);
                    if (!cancelled) all_run();
                    cancelled = true;
                    break;
                case Step::from_signal:
                    RC_ASSERT(token.cancel_from_signal(15) == !cancelled);
                    undelivered |= !cancelled;
                    cancelled = true;
                    break;
                case Step::deliver:
                    token.deliver();
                    if (undelivered) all_run();
                    undelivered = false;
            }
            for (const auto& callback : callbacks)
                RC_ASSERT(callback->calls == callback->expected);
        }
    }));
}

}  // namespace
}  // namespace cancelable
