"""What the fronts of all commands share: what they take, how they speak, and how they end."""
