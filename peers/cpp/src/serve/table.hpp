#pragma once
// A step's data table, by the names of its columns.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rpc/params.hpp"

namespace zerobuffer::serve {

class TableRow {
public:
    explicit TableRow(std::map<std::string, std::string> cells) : cells_(std::move(cells)) {}

    // Throw StepFailure where there is no such column, or no number in it.
    const std::string& text(const std::string& column) const;
    std::uint64_t number(const std::string& column) const;

private:
    std::map<std::string, std::string> cells_;
};

// From a step's parameters: a JSON array of rows, the first of them the names. Throws StepFailure
// where there is none, or none with rows.
std::vector<TableRow> table_of(const rpc::StringMap& parameters);

}  // namespace zerobuffer::serve
