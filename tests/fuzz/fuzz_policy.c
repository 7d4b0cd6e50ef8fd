// fuzz policy: any bytes as a bundle, and any bytes as the text of a route file. Nothing may crash, leak or hang; a
// policy that comes out can be written down and gives the same again.
#include "penstock/policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char common[] = "map: okta\nfields: {subject.id: raw.actor.id, type: raw.type}\n---\ndefault_owner: o\n"
                             "define: {failed: 'event.outcome == \"failure\"', far: [A, B]}\n"
                             "consumers: [{name: c, accepts: 'true', to: stdout}]\n";

static void check_bundle(const struct policy_bundle *bundle) {
    struct findings findings;
    struct buf text, bytes;
    struct status status = {0};
    findings_init(&findings);
    buf_init(&text, 1u << 24);
    buf_init(&bytes, 1u << 26);
    struct policy *policy = policy_compile(bundle, &findings);
    must((policy == NULL) == (findings.n_errors > 0));
    findings_write(&findings, &text);
    policy_bundle_write(bundle, &bytes);
    struct policy_bundle *again = policy_bundle_read(buf_view(&bytes), &status);
    must(again);
    policy_bundle_free(again);
    policy_unref(policy);
    findings_free(&findings);
    buf_free(&text);
    buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct status status = {0};
    struct str input = {(const char *)data, size};
    struct policy_bundle *bundle = policy_bundle_read(input, &status);
    if (bundle)
        check_bundle(bundle);
    policy_bundle_free(bundle);
    struct policy_file files[] = {{STR("common.yaml"), STR(common)}, {STR("input.yaml"), input}};
    struct policy_bundle of_text = {.files = files, .n_files = COUNT_OF(files)};
    check_bundle(&of_text);
    return 0;
}
