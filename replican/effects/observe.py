from replican.effects.assemble import Assembled, chain

__all__ = ["Assembled", "chain"]
