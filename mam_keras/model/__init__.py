"""Parts that know no system: features, masks, heads, maps, losses. What a whole network is, says `systems`."""
