#include "cli/supervisor/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <vector>

#include "cli/render/text.h"
#include "engine/context.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kFileSize = 1 << 20;
constexpr std::size_t kOlderFiles = 2;

std::string line_of(std::string_view sentence) {
    return current_operation_prefix() + printable(sentence);
}

}  // namespace

struct SupervisorLog::Impl {
    explicit Impl(std::vector<spdlog::sink_ptr> sinks) : logger("supervisor", sinks.begin(), sinks.end()) {
        logger.set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
        logger.flush_on(spdlog::level::warn);
        logger.set_error_handler([](const std::string&) {});
    }
    spdlog::logger logger;
};

SupervisorLog::SupervisorLog(const std::string& path, bool also_stderr) {
    std::vector<spdlog::sink_ptr> sinks;
    std::string trouble;
    if (also_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    // Rotating opens and renames files, each of which can fail; spdlog tells by throwing.
    try {
        if (!path.empty())
            sinks.push_back(
                std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kFileSize, kOlderFiles));
    } catch (const spdlog::spdlog_ex& error) {
        trouble = error.what();
    }
    impl_ = std::make_unique<Impl>(std::move(sinks));
    if (!trouble.empty()) warn(trouble);
}

SupervisorLog::~SupervisorLog() = default;

void SupervisorLog::info(std::string_view sentence) {
    impl_->logger.info(line_of(sentence));
    impl_->logger.flush();
}

void SupervisorLog::info(std::span<const std::string> sentences) {
    for (const std::string& sentence : sentences)
        impl_->logger.info(line_of(sentence));
    impl_->logger.flush();
}

void SupervisorLog::warn(std::string_view sentence) {
    impl_->logger.warn(line_of(sentence));
}

}  // namespace cancelable::cli
