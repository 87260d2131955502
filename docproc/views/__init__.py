"""Everything that is formatted for people or programs; no decision is taken here."""
