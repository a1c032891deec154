"""What keeps a gateway answering while a part is slow or away: breakers."""
