// snapshot: the gate's state as one file: {log position, generation, policy bundle,
// state}, versioned and checksummed.
#ifndef RUNTIME_SNAPSHOT_H
#define RUNTIME_SNAPSHOT_H

#include "penstock/gate.h"

struct snapshot {
    uint64_t seq; // the log's last record that the state has taken
    int64_t time_ms;
    uint64_t generation;
    struct str bundle; // policy_bundle_write's bytes
    struct str state;  // gate_save's bytes
};

#define SNAPSHOT_MAX_BYTES (UINT64_C(4) << 30)

void snapshot_encode(const struct snapshot *snapshot, struct buf *out);
// Views into `bytes`. False: damaged or of another version; *status says what to do.
bool snapshot_decode(struct str bytes, struct snapshot *out, struct status *status);
// Written beside, fsynced, renamed; older ones than the last two are removed. *previous_seq: the older kept one's, 0 if
// none.
bool snapshot_store(const char *dir, uint64_t seq, struct str bytes, uint64_t *previous_seq, struct status *status);
// The newest one that verifies into `bytes`, else the one before (logged). True with bytes->len 0: there is none.
// False: there are some and none verifies.
bool snapshot_load(const char *dir, struct buf *bytes, struct snapshot *out, struct status *status);

#endif
