#include "engine/event_recorder.h"

#include <doctest/doctest.h>

#include <csignal>
#include <string>
#include <vector>

#include "engine/outcome.h"

namespace cancelable {
namespace {

// One operation as the supervisor handles it, without processes.
class Scene {
public:
    Scene() {
        auto spec = std::make_shared<OperationSpec>();
        spec->id = 7;
        spec->name = "job";
        Operation first;
        first.spec = spec;
        now_ = std::make_shared<const Operation>(std::move(first));
    }

    void accept() { recorder.changed({nullptr, now_}); }

    void become(Status status) {
        Operation next = *now_;
        next.status = status;
        step(std::move(next), nullptr);
    }

    void hear(const ShimReport& report) {
        Operation next = *now_;
        apply_report(next, report);
        step(std::move(next), &report);
    }

    void request_cancel(const CancelRequest& request, bool hurries) {
        recorder.cancel_requested(now_, request, StopPlan{{SIGTERM, std::chrono::seconds(2)}}, hurries);
        if (hurries) return;
        Operation next = *now_;
        next.status = Status::cancelling;
        auto cancelation = std::make_shared<Cancelation>();
        cancelation->reason = request.reason;
        cancelation->by = request.by;
        next.cancelation = std::move(cancelation);
        step(std::move(next), nullptr);
    }

    // The kinds so far, with what tells equal ones apart.
    std::vector<std::string> story() const {
        std::vector<std::string> told;
        for (std::uint64_t at = log.birth(); at < log.next(); ++at) {
            const Event& event = *log.find(at);
            std::string line(to_string(event.kind));
            if (const auto* to = event.find("to"); to != nullptr && std::holds_alternative<Status>(*to))
                line += " " + std::string(to_string(std::get<Status>(*to)));
            if (const auto* signal = event.find("signal"); signal != nullptr)
                line += " " + std::to_string(std::get<SignalNumber>(*signal).number);
            if (const auto* reason = event.find("reason"); reason != nullptr)
                line += " " + std::get<std::string>(*reason);
            told.push_back(std::move(line));
        }
        return told;
    }

    const Snapshot& now() const { return now_; }

    EventLog log;
    EventRecorder recorder{log};

private:
    void step(Operation next, const ShimReport* report) {
        const Snapshot before = now_;
        now_ = std::make_shared<const Operation>(std::move(next));
        recorder.changed({before, now_}, report);
    }

    Snapshot now_;
};

ShimReport running_report() {
    ShimReport report;
    report.id = 7;
    report.pid = 99;
    report.started = true;
    return report;
}

ShimReport cancelled_report(CancelationReason reason, std::vector<int> signals) {
    ShimReport report = running_report();
    report.cancelation = ReportedCancelation{.reason = reason, .uid = 1000, .pid = 77, .signal = SIGTERM};
    report.signals = std::move(signals);
    return report;
}

ShimReport over(ShimReport report) {
    report.has_exited = true;
    report.over = true;
    return report;
}

using Story = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("event recorder");

TEST_CASE("a plain life is told as accepted, running, ended") {
    Scene scene;
    scene.accept();
    scene.become(Status::running);
    scene.hear(running_report());
    scene.hear(over(running_report()));
    CHECK(scene.story() == Story{"accepted", "status running", "ended completed"});
}

TEST_CASE("a cancelation is told from the request to the end, each signal once") {
    Scene scene;
    scene.become(Status::running);
    scene.request_cancel({.by = {1000, 77}}, false);
    scene.hear(cancelled_report(CancelationReason::manual, {SIGTERM}));
    scene.hear(cancelled_report(CancelationReason::manual, {SIGTERM}));
    scene.request_cancel({.by = {1000, 78}}, true);
    scene.hear(over(cancelled_report(CancelationReason::manual, {SIGTERM, SIGKILL})));
    CHECK(scene.story() == Story{"status running", "cancel 15 manual", "status cancelling", "signal 15",
                                 "cancel 15 manual", "signal 9", "ended cancelled manual"});
    CHECK_FALSE(std::get<bool>(*scene.log.find(scene.log.birth() + 1)->find("hurries")));
    const Event& second = *scene.log.find(scene.log.birth() + 4);
    CHECK(std::get<bool>(*second.find("hurries")));
    CHECK(std::get<Requester>(*second.find("by")).pid == 78);
}

TEST_CASE("what the shim cancels by itself is a request as well") {
    Scene scene;
    scene.become(Status::running);
    scene.hear(cancelled_report(CancelationReason::timeout, {SIGTERM}));
    CHECK(scene.story() == Story{"status running", "cancel 15 timeout", "status cancelling", "signal 15"});
}

TEST_CASE("where the shim was faster than a request both are told") {
    Scene scene;
    scene.become(Status::running);
    scene.request_cancel({.by = {1000, 77}}, false);
    scene.hear(cancelled_report(CancelationReason::timeout, {}));
    CHECK(scene.story() ==
          Story{"status running", "cancel 15 manual", "status cancelling", "cancel 15 timeout"});
}

TEST_CASE("signals for what a command left behind are told without a cancelation") {
    Scene scene;
    scene.become(Status::running);
    ShimReport report = running_report();
    report.has_exited = true;
    report.signals = {SIGTERM};
    scene.hear(report);
    scene.hear(over(report));
    CHECK(scene.story() == Story{"status running", "signal 15", "ended completed"});
}

TEST_CASE("survivors are told when they change") {
    Scene scene;
    scene.become(Status::running);
    ShimReport report = cancelled_report(CancelationReason::manual, {});
    report.survivors = {5};
    scene.hear(report);
    scene.hear(report);
    report.survivors = {5, 6};
    scene.hear(report);
    CHECK(scene.story() ==
          Story{"status running", "cancel 15 manual", "status cancelling", "survivors", "survivors"});
    CHECK(std::get<std::vector<pid_t>>(*scene.log.find(scene.log.next() - 1)->find("pids")) ==
          std::vector<pid_t>{5, 6});
}

TEST_CASE("an adopted operation is told once, with what it has come to, and goes on from there") {
    Scene scene;
    scene.recorder.begin_adoption(7);
    scene.accept();
    scene.become(Status::running);
    const ShimReport report = cancelled_report(CancelationReason::manual, {SIGTERM});
    scene.hear(report);
    scene.recorder.end_adoption(scene.now(), report.signals);
    CHECK(scene.story() == Story{"adopted manual"});
    scene.hear(over(cancelled_report(CancelationReason::manual, {SIGTERM, SIGKILL})));
    CHECK(scene.story() == Story{"adopted manual", "signal 9", "ended cancelled manual"});
    CHECK_FALSE(std::get<bool>(*scene.log.find(scene.log.next() - 1)->find("meanwhile")));
}

TEST_CASE("one that ended while nobody watched is told as an end, and as one of meanwhile") {
    Scene scene;
    scene.recorder.begin_adoption(7);
    scene.accept();
    scene.become(Status::running);
    scene.hear(over(running_report()));
    scene.recorder.end_adoption(scene.now());
    CHECK(scene.story() == Story{"ended completed"});
    CHECK(std::get<bool>(*scene.log.find(scene.log.birth())->find("meanwhile")));
}

TEST_SUITE_END();

}  // namespace cancelable
