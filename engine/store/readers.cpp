#include "engine/store/readers.h"

#include <utility>

#include "engine/store/writer.h"

namespace cancelable {
namespace {

constexpr std::size_t kMostIdle = 4;

}  // namespace

Store::Readers::Readers(HistoryFile file, std::span<const char* const> steps, Writer& writer)
    : file_(std::move(file)), version_(static_cast<std::int64_t>(steps.size())), writer_(writer) {}

Result<Store::Readers::Reader> Store::Readers::take() {
    writer_.wait_until_tried();
    {
        const std::lock_guard lock(mutex_);
        const auto present = file_.identity();
        std::erase_if(idle_, [&](const Reader& reader) { return reader->identity != present; });
        if (!idle_.empty()) {
            Reader reader = std::move(idle_.back());
            idle_.pop_back();
            return reader;
        }
    }
    auto opened = file_.open_for_reading();
    if (!opened) return std::unexpected(opened.error());
    auto reader = std::make_unique<HistoryFile::Opened>(std::move(*opened));
    const auto version = reader->database.number("PRAGMA user_version");
    const auto defined = define_functions(reader->database);
    if (!version || !defined) {
        const Error trouble = version ? defined.error() : version.error();
        give_back(std::move(reader), &trouble);
        return std::unexpected(trouble);
    }
    if (*version > version_)
        return failure(ErrorCode::refused, "the history was made by a later version of cancelable");
    if (*version < version_) return failure(ErrorCode::not_found, "there is no history yet");
    return reader;
}

void Store::Readers::give_back(Reader reader, const Error* trouble) {
    if (trouble != nullptr) {
        // One that was replaced meanwhile is nobody's concern any more.
        if (trouble->code == ErrorCode::damaged && file_.identity() == reader->identity)
            writer_.suspect(reader->identity);
        return;
    }
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(reader));
}

}  // namespace cancelable
