"""PoCL as a compiler: what makes programs in milliseconds where it takes tenths of a second.

Nothing here is needed for a right result: what fails is built by the driver in its own way, and
drivers other than PoCL build so always (`runtime.programs` decides). In order:

- `lean`: a text without PoCL's headers and library; `parts`: a text as several, cut where programs
  share functions;
- `builders`: processes that build for this one, each in a folder of its own (`workshop`,
  `headers`), spoken to by `messages`; `ahead` is what runs in them;
- in a builder, forks share the work: `aside` one for a program, `twin` one that stays, `apart` the
  job that is dealt to them, `shelf` and `stock` what is made when nobody asks;
- in a builder, PoCL and its LLVM do less: `patches` begins functions of the library (`symbols`)
  anew, `lighter` leaves passes out, `machines` keeps a description of the processor, `objects`,
  `codegen`, `passes` and `linking` go from bitcode to a library without PoCL's launchers and `ld`;
- on disk: `kept` tells whole machine code from damaged; `processor` names new ones.
"""
