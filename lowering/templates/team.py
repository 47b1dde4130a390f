"""The functions by which the members of a team share items; text that calls them has them.

Each member has a share of the items and takes those of the others when its own are gone. A claim
is a word of (stage's number, items taken), exchanged by compare-and-swap, so a member that comes
late takes nothing of a stage that is over. The first word counts what is done of all stages; who
waits for it, waits for items that run. To read a word that another core has written takes 100 ns
and more: a member counts what it has done in one addition, and looks at that word for a while
before it looks at the others' claims, which mostly are gone as well. `times`: the clock at the
begin and after each stage. What decides where all go is said in one item and heard after it, with
its number: a member that finds a later one there has missed more than it can follow, and does
without.
"""

from __future__ import annotations

SAID = 512
"""Words for what is said last."""

LOOKS = 20
"""How often who has none left looks whether all is done before it takes what is another's."""

# Who waits long on a busy machine waits for a thread that has no core: it gives its own away.
_WAIT = """
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__SSE2__)
#define team_pause() __builtin_ia32_pause()
#else
#define team_pause()
#endif
#if __has_builtin(__builtin_readcyclecounter)
#define team_clock() __builtin_readcyclecounter()
#else
#define team_clock() 0UL
#endif
static void team_yield(void) {
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__x86_64__) && defined(__linux__)
  long result = 24; // sched_yield
  __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
#endif
}"""

# team_of sets one after the other: of a list of zeros clang makes a call of memset.
_TEXT = """
typedef struct {
  __global ulong *words;
  __global ulong *times;
  uint me, members, stage, tried, looks, mine, heard;
  ulong until;
  int open;
} team;
FX_TEAM team team_of(__global ulong *words, uint me, uint members) {
  team t;
  t.words = words, t.times = 0, t.me = me, t.members = members, t.stage = t.tried = 0;
  t.looks = t.mine = t.heard = 0, t.until = 0, t.open = 0;
  return t;
}
FX_TEAM void team_timed(team *t, __global ulong *times) {
  t->times = times;
  if (__atomic_fetch_add(t->words + 2, 1UL, __ATOMIC_RELAXED) == 0) *times = team_clock();
}
FX_TEAM int team_done(team *t, uint looks) {
  if (t->mine) {
    const ulong all = __atomic_add_fetch(t->words, t->mine, __ATOMIC_RELEASE);
    if (t->times && all == t->until) t->times[t->stage] = team_clock();
    t->mine = 0;
  }
  for (uint k = 0; k < looks; ++k) {
    if (__atomic_load_n(t->words, __ATOMIC_ACQUIRE) >= t->until) return 1;
    team_pause();
  }
  return 0;
}
FX_TEAM long team_next(team *t, uint items) {
  if (t->open) {
    t->mine += 1;
  } else {
    t->open = 1;
    t->stage += 1;
    t->until += items;
    t->tried = 0;
    t->looks = LOOKS;
  }
  for (; t->tried < t->members; ++t->tried) {
    if (t->tried == 1 && t->looks) {
      if (team_done(t, t->looks)) break;
      t->looks = 0;
    }
    const uint whose = (t->me + t->tried) % t->members;
    const uint first = (ulong)items * whose / t->members;
    const uint count = (ulong)items * (whose + 1) / t->members - first;
    __global ulong *word = t->words + 8 * (whose + 1);
    ulong seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    for (;;) {
      const uint at = (uint)(seen >> 32), taken = at == t->stage ? (uint)seen : 0;
      if (at > t->stage || taken >= count) break;
      const ulong claim = ((ulong)t->stage << 32) + taken + 1;
      if (__atomic_compare_exchange_n(word, &seen, claim, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return first + taken;
    }
  }
  for (uint looks = 500; !team_done(t, looks); looks = 1) team_yield();
  t->open = 0;
  return -1;
}
FX_TEAM void team_say(team *t, __global ulong *said, uint value) {
  const ulong word = ((ulong)t->heard << 32) + value;
  __atomic_store_n(said + t->heard % SAID, word, __ATOMIC_RELAXED);
}
FX_TEAM int team_hear(team *t, __global ulong *said, uint *value) {
  const ulong word = __atomic_load_n(said + t->heard % SAID, __ATOMIC_RELAXED);
  *value = (uint)word;
  return (uint)(word >> 32) == t->heard++;
}
FX_TEAM void team_leave(team *t) {
  if (__atomic_add_fetch(t->words + 1, 1UL, __ATOMIC_ACQ_REL) < t->members) return;
  for (uint k = 0; k <= t->members; ++k) t->words[8 * k] = 0;
  t->words[1] = t->words[2] = 0;
}"""


def source(text: str) -> str:
    """The functions, if `text` is a team's."""
    if "team_of(" not in text:
        return ""
    return f"{_WAIT}{_TEXT.replace('SAID', str(SAID)).replace('LOOKS', str(LOOKS))}\n"
