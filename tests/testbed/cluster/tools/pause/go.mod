module semantic-search-operator.test/tools/pause

go 1.26
