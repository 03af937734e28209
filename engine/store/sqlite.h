#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/process/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cancelable {

// SQLite as this project uses it: every result is looked at, and becomes an Error. What a damaged file brings
// about has the code `damaged`, also where SQLite calls it an error of the statement: ours are fixed, so it
// is the file that does not have what they name. A full disk is `system` with ENOSPC, another's lock `system`
// with EBUSY.

// A prepared statement. It must not outlive its connection. After run() or reset() it can be bound anew.
class Statement {
public:
    explicit Statement(sqlite3_stmt* statement) noexcept : statement_(statement) {}

    // In order: the first call binds the first parameter.
    Statement& bind(std::int64_t value) noexcept;
    Statement& bind(std::string_view text) noexcept;  // which must stay until the statement is reset
    Statement& bind(std::span<const std::byte> blob) noexcept;  // likewise
    Statement& bind(std::optional<std::int64_t> value) noexcept;
    Statement& bind_null() noexcept;

    Result<bool> step() noexcept;  // true: there is a row
    Result<> run() noexcept;       // to its end, whatever rows come, and reset
    void reset() noexcept;

    std::int64_t integer(int column) const noexcept;
    std::optional<std::int64_t> optional_integer(int column) const noexcept;
    std::string_view text(int column) const noexcept;  // valid until the next step
    std::span<const std::byte> blob(int column) const noexcept;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bound_ = 0;
    int bind_failure_ = 0;
};

// An open database. Used by one thread at a time.
class Database {
public:
    enum class Access : std::uint8_t { write, read };

    // An existing file. `busy_patience`: how long to wait for a lock that another process holds.
    static Result<Database> open(const std::string& path, Access access, int busy_patience_ms);

    Result<> execute(const char* statements);
    Result<Statement> prepare(std::string_view sql);
    Result<std::int64_t> number(std::string_view sql);  // the first column of the first row; 0 where none is
    std::int64_t changes() const noexcept;              // rows that the last statement has changed

    // While set, `goes_on` is asked every few thousand steps of a statement, and its no interrupts it.
    void ask_to_go_on(std::function<bool()> goes_on);

    // A function of SQL, of two texts; it must not throw.
    Result<> define(const char* name, bool (*function)(std::string_view, std::string_view));

private:
    struct Close {
        void operator()(sqlite3* database) const noexcept;
    };
    explicit Database(sqlite3* database) noexcept : database_(database) {}
    std::unique_ptr<sqlite3, Close> database_;
    std::unique_ptr<std::function<bool()>> goes_on_;
};

// Rolled back on the way out, unless it was committed.
class Transaction {
public:
    // For writing: nobody else writes until it ends.
    static Result<Transaction> begin(Database& database);
    ~Transaction();
    Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
    Transaction& operator=(Transaction&&) = delete;

    Result<> commit();

private:
    explicit Transaction(Database& database) noexcept : database_(&database) {}
    Database* database_;
};

}  // namespace cancelable
