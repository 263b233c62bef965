// Nothing but the precompiled support/catch.h: a target must compile something with it, for others to use it.
