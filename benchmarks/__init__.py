"""Speed, always beside something else in the same run: ratios mean more than rates."""
