"""replican keeps folders in step with each other, automatically, with git's manners.

The library knows no terminal: it never prints, never exits and reads no environment (but for
:mod:`replican.settings`). Its floors, lowest first, each importing only from below itself:

``values``      ids, names, trees, checkpoints, listings: immutable data and its encodings
``decisions``   pure functions: diff, reconcile, ancestry, M(S), gates, plans
``effects``     object store, refs, index, scan, stage, trash, transition, links
``repository``  joins the effects of one folder
``operations``  commit, fetch, merge, push, sync, undo, restore, fsck, gc
"""

__version__ = "0.1.0"
