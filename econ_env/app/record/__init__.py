"""Makes banks of recorded replies, from models and from other people's logs, and says what is in one."""
