#include "cli/watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/connect.h"
#include "cli/report.h"
#include "cli/terminal/screen.h"
#include "cli/terminal/signals.h"
#include "ipc/client.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

// The first lines that fit, each erasing what stood in its place before, and then everything below.
std::string as_screen(const std::string& text) {
    const std::size_t height = screen_height(STDOUT_FILENO).value_or(24);
    std::string out = "\x1b[H";
    std::size_t at = 0;
    // The last line of the screen stays free: a newline there would scroll.
    for (std::size_t line = 0; line + 1 < height && at < text.size(); ++line) {
        const std::size_t end = text.find('\n', at);
        out += text.substr(at, end - at) + "\x1b[K\n";
        at = end == std::string::npos ? text.size() : end + 1;
    }
    return out + "\x1b[J";
}

// The screen as it was before comes back when this goes.
class AlternateScreen {
public:
    explicit AlternateScreen(bool wanted) : wanted_(wanted) {
        if (wanted_) (void)print("\x1b[?1049h\x1b[?25l");
    }
    AlternateScreen(const AlternateScreen&) = delete;
    AlternateScreen& operator=(const AlternateScreen&) = delete;
    ~AlternateScreen() {
        if (wanted_) (void)print("\x1b[?25h\x1b[?1049l");
    }

private:
    bool wanted_;
};

class Watcher {
public:
    using Render = std::function<Result<std::string>(const json&)>;
    Watcher(ipc::Client client, ipc::ListParams params, SignalTokens& signals, const Render& render)
        : client_(std::move(client)), params_(std::move(params)), signals_(signals), render_(render) {}

    Result<int> run() {
        const bool on_terminal = is_terminal(STDOUT_FILENO);
        const AlternateScreen screen(on_terminal);
        if (auto asked = ask(); !asked) return std::unexpected(asked.error());
        for (;;) {
            auto message = client_.receive();
            if (!message) return std::unexpected(message.error());
            bool redraw = false;
            if (*message) {
                auto* response = std::get_if<ipc::Response>(&**message);
                if (response == nullptr || response->request != request_) continue;
                if (!response->result) return std::unexpected(response->result.error());
                last_ = std::move(*response->result);
                params_.after = last_.value("revision", std::uint64_t{0});
                if (auto asked = ask(); !asked) return std::unexpected(asked.error());
                redraw = true;
            } else {
                redraw = wait(on_terminal);
            }
            if (signals_.polite().is_cancelled()) return 128 + signals_.polite_signal();
            if (!redraw || last_.is_null()) continue;
            const auto text = render_(last_);
            if (!text) return std::unexpected(text.error());
            if (const int failed = print(on_terminal ? as_screen(*text) : *text); failed != 0) return failed;
        }
    }

private:
    Result<> ask() {
        const auto sent = client_.send("operation.list", ipc::encode(params_));
        if (!sent) return std::unexpected(sent.error());
        request_ = *sent;
        return {};
    }

    // True where it is time to draw again although nothing came.
    bool wait(bool on_terminal) {
        pollfd watched[] = {{client_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}};
        const int ready = ::poll(watched, 2, on_terminal ? 1000 : -1);
        signals_.drain();
        return (ready == 0 && on_terminal) || !signals_.take_passed_on().empty();
    }

    ipc::Client client_;
    ipc::ListParams params_;
    SignalTokens& signals_;
    const Render& render_;
    std::uint64_t request_ = 0;
    json last_;
};

}  // namespace

int watch_list(const Globals& globals, ipc::ListParams params,
               const std::function<Result<std::string>(const json&)>& render) {
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    static constexpr int kPassedOn[] = {SIGWINCH};
    auto signals = SignalTokens::install(kPassedOn);
    if (!signals) return report(signals.error());
    const auto status = Watcher(std::move(*client), std::move(params), **signals, render).run();
    return status ? *status : report(status.error());
}

}  // namespace cancelable::cli
