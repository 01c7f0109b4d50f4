"""Operations: what the porcelain is composed of, each a function on repositories that returns values."""
