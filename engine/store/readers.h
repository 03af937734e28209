#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/store.h"
#include "engine/store/file.h"

namespace cancelable {

// Connections for reading, one to each query at a time; they are kept for the next one.
class Store::Readers {
public:
    Readers(HistoryFile file, std::span<const char* const> steps, Writer& writer);

    // Calls `read` with a connection to the present file, in one transaction for reading. Where there is no
    // file yet, `read` is not called and the answer is not_found. Damage is told to the writer.
    template <class T>
    Result<T> read(const CancelationToken& token, const std::function<Result<T>(Database&)>& read) {
        auto reader = take();
        if (!reader) return std::unexpected(reader.error());
        Database& database = (*reader)->database;
        database.ask_to_go_on([&token] { return !token.is_cancelled(); });
        Result<T> result = failure(ErrorCode::system, "");
        if (auto begun = database.execute("BEGIN"); begun) {
            result = read(database);
            static_cast<void>(database.execute("COMMIT"));
        } else {
            result = std::unexpected(begun.error());
        }
        database.ask_to_go_on({});
        give_back(std::move(*reader), result ? nullptr : &result.error());
        return result;
    }

private:
    using Reader = std::unique_ptr<HistoryFile::Opened>;
    Result<Reader> take();
    void give_back(Reader reader, const Error* trouble);

    HistoryFile file_;
    std::int64_t version_;
    Writer& writer_;
    std::mutex mutex_;
    std::vector<Reader> idle_;
};

}  // namespace cancelable
