"""One system's helper: what it is made from (spec, payload), its life (session), what it leaves."""
