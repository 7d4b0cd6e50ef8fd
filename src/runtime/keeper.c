// The keeper: what happens now and then. It stores the snapshots that the gate hands
// over and lets the journal forget what they cover; it notices changed route files
// and inventory (or SIGHUP) and puts them in force, if they are right. A wrong one
// leaves the old one in force and says so, in the log and on the metrics.
#include "service.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "snapshot.h"

#define ROUND_MS 100
#define LOOK_EVERY_MS 1000
#define FILLING_EVERY_MS 1000
#define FINDINGS_LOGGED 20
#define FOLDER_DEPTH_MAX 16

struct policy *compile_routes(const struct service *service, struct buf *bundle_bytes, struct findings *findings,
                              struct status *status) {
    const struct config *config = service->config;
    struct policy_bundle *bundle =
        policy_bundle_load(config->routes, service->policy_sources, config->n_sources, status);
    if (!bundle)
        return NULL;
    struct policy *policy = policy_compile(bundle, findings);
    if (policy && !config_check_consumers(config, policy, findings)) {
        policy_unref(policy);
        policy = NULL;
    }
    if (policy)
        policy_bundle_write(bundle, bundle_bytes);
    else
        status_fail(status, STATUS_INVALID, "%zu errors in the route files", findings->n_errors);
    policy_bundle_free(bundle);
    return policy;
}

struct inventory *load_inventory(const struct config *config, struct status *status) {
    return config->inventory ? inventory_load(config->inventory, status) : inventory_empty();
}

void put_policy_in_force(struct service *service, struct policy *policy, struct str bundle) {
    policy->generation = ++service->last_generation;
    struct policy_record record = {.generation = policy->generation, .bundle = bundle};
    struct buf bytes;
    buf_init(&bytes, POLICY_MAX_BYTES * 2);
    policy_record_write(&bytes, &record);
    pipeline_change_policy(service->pipeline, policy, buf_view(&bytes));
    buf_free(&bytes);
}

static void log_findings(const struct findings *findings) {
    for (size_t i = 0; i < findings->n && i < FINDINGS_LOGGED; i++) {
        const struct finding *finding = &findings->items[i];
        char place[600];
        snprintf(place, sizeof place, "%.*s:%u:%u", (int)(finding->file.len < 500 ? finding->file.len : 500),
                 finding->file.ptr, finding->line, finding->column);
        logline(finding->error ? LOGLINE_ERROR : LOGLINE_WARN, "policy", finding->text.ptr, "at", place, NULL);
    }
}

static void reload_routes(struct service *service) {
    struct findings findings;
    struct status status = {0};
    struct buf bundle;
    findings_init(&findings);
    buf_init(&bundle, POLICY_MAX_BYTES * 2);
    struct policy *policy = compile_routes(service, &bundle, &findings, &status),
                  *current = pipeline_policy(service->pipeline);
    log_findings(&findings);
    atomic_store(&service->reload_ok, policy != NULL);
    if (!policy) {
        atomic_fetch_add(&service->reloads_failed, 1);
        logline(LOGLINE_ERROR, "policy", "not reloaded, the old policy stays in force", "error", status.text, NULL);
    } else if (!hash128_eq(policy->hash, current->hash)) {
        atomic_fetch_add(&service->reloads_ok, 1);
        put_policy_in_force(service, policy, buf_view(&bundle));
    } else {
        atomic_fetch_add(&service->reloads_ok, 1);
        logline(LOGLINE_INFO, "policy", "reloaded, nothing has changed", NULL);
    }
    policy_unref(current);
    policy_unref(policy);
    buf_free(&bundle);
    findings_free(&findings);
}

static void reload_inventory(struct service *service) {
    struct status status = {0};
    struct inventory *inventory = load_inventory(service->config, &status);
    atomic_store(&service->inventory_ok, inventory != NULL);
    if (!inventory) {
        logline(LOGLINE_ERROR, "inventory", "not reloaded, the old one stays in use", "error", status.text, NULL);
        return;
    }
    atomic_store(&service->inventory_size, inventory_size(inventory));
    pipeline_change_inventory(service->pipeline, inventory);
    inventory_unref(inventory);
    logline(LOGLINE_INFO, "inventory", "reloaded", NULL);
}

// ---- noticing changes ------------------------------------------------------------------

static uint64_t sign_file(const char *path, const struct stat *info) {
    struct hash_parts parts = {.len = 0};
    hash_parts_int(&parts, (int64_t)hash64_bytes(path, strlen(path)));
    hash_parts_int(&parts, info->st_mtim.tv_sec);
    hash_parts_int(&parts, info->st_mtim.tv_nsec);
    hash_parts_int(&parts, info->st_size);
    hash_parts_int(&parts, (int64_t)info->st_ino);
    return hash_parts_end(&parts).lo;
}

// The order of a folder's entries means nothing, so the files' hashes are added up.
static uint64_t sign_folder(const char *path, unsigned depth) {
    uint64_t sum = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char below[4096];
        struct stat info;
        if (entry->d_name[0] == '.' ||
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below || stat(below, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth < FOLDER_DEPTH_MAX)
            sum += sign_folder(below, depth + 1);
        else if (S_ISREG(info.st_mode))
            sum += sign_file(below, &info);
    }
    if (folder)
        closedir(folder);
    return sum;
}

struct watch watch_files(const struct config *config) {
    struct stat info;
    return (struct watch){
        .routes = sign_folder(config->routes, 0),
        .inventory = config->inventory && stat(config->inventory, &info) == 0 ? sign_file(config->inventory, &info) : 0,
    };
}

// A change is taken once it has stood still for one look, so that a half-written file is not read.
static void reload_changed(struct service *service, struct watch *read, struct watch *last) {
    struct watch now = watch_files(service->config);
    bool asked = atomic_exchange(&service->reload_wanted, false);
    if (asked || (now.routes != read->routes && now.routes == last->routes)) {
        read->routes = now.routes;
        reload_routes(service);
    }
    if (asked || (now.inventory != read->inventory && now.inventory == last->inventory)) {
        read->inventory = now.inventory;
        reload_inventory(service);
    }
    *last = now;
}

// ---- snapshots ---------------------------------------------------------------------------

bool store_snapshot(struct service *service, struct status *status) {
    char dir[4096];
    uint64_t previous = 0;
    snprintf(dir, sizeof dir, "%s/snapshots", service->config->data);
    if (!snapshot_store(dir, service->snapshot_of, buf_view(&service->snapshot), &previous, status))
        return false;
    atomic_store(&service->snapshot_seq, service->snapshot_of);
    atomic_store(&service->snapshot_at_ms, clock_now_ms());
    // The older of the two kept snapshots must stay usable too, so the journal goes back to it.
    if (previous > 0)
        atomic_store(&service->free_before, previous + 1);
    return true;
}

static void store_handed_over(struct service *service) {
    struct status status = {0};
    pthread_mutex_lock(&service->snapshot_mutex);
    bool ready = service->snapshot_ready;
    pthread_mutex_unlock(&service->snapshot_mutex);
    if (!ready)
        return;
    if (!store_snapshot(service, &status)) // the gate does not touch it while it is ready
        logline(LOGLINE_ERROR, "snapshot", "not stored; the last one stays, and the journal grows", "error",
                status.text, NULL);
    pthread_mutex_lock(&service->snapshot_mutex);
    service->snapshot_ready = false;
    buf_free(&service->snapshot);
    buf_init(&service->snapshot, SNAPSHOT_MAX_BYTES);
    pthread_mutex_unlock(&service->snapshot_mutex);
}

// The journal takes nothing any more, and nothing new can come that would make another snapshot. If the newest one
// covers all there is, it must do alone: the older one's segments go. The last segment stays, so that no new one need
// be made on a disk that may be full.
static void relieve_journal(struct service *service) {
    char trouble[480], dir[4096];
    uint64_t seq = atomic_load(&service->snapshot_seq);
    trouble_get(&service->journal_trouble, trouble);
    if (!trouble[0] || seq == 0 || seq < atomic_load(&service->applied_seq))
        return;
    struct buf bytes;
    struct snapshot snapshot;
    buf_init(&bytes, SNAPSHOT_MAX_BYTES);
    snprintf(dir, sizeof dir, "%s/snapshots", service->config->data);
    if (snapshot_load(dir, &bytes, &snapshot, NULL) && bytes.len > 0 && snapshot.seq == seq) // as it is on the disk
        atomic_store(&service->free_before, seq);
    buf_free(&bytes);
}

// A journal that is half full must not wait for the next regular snapshot.
static int64_t snapshot_period_ms(const struct service *service) {
    int64_t every_ms = service->config->snapshot_every_ms;
    struct journal_stats stats;
    journal_stats(service->journal, &stats);
    bool filling = stats.bytes > (uint64_t)service->config->journal_max_bytes / 2;
    return filling && every_ms > FILLING_EVERY_MS ? FILLING_EVERY_MS : every_ms;
}

void *run_keeper(void *ctx) {
    struct service *service = ctx;
    struct watch read = service->watch, last = read;
    int64_t looked_ms = clock_monotonic_ms(), asked_ms = looked_ms;
    while (!atomic_load(&service->keeper_closing)) {
        int64_t now_ms = clock_monotonic_ms();
        if (now_ms - looked_ms >= LOOK_EVERY_MS || atomic_load(&service->reload_wanted)) {
            reload_changed(service, &read, &last);
            looked_ms = now_ms;
        }
        if (now_ms - asked_ms >= snapshot_period_ms(service)) {
            if (atomic_load(&service->applied_seq) > atomic_load(&service->snapshot_seq))
                atomic_store(&service->snapshot_wanted, true);
            asked_ms = now_ms;
        }
        store_handed_over(service);
        relieve_journal(service);
        clock_sleep_ms(ROUND_MS);
    }
    return NULL;
}
