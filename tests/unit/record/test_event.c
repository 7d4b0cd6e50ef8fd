// The tables of fields: every row is found by its path, and nothing else is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "penstock/event.h"

static void every_field_is_found_by_its_path(void **state) {
    (void)state;
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        assert_int_equal(event_field_find(str_of(event_fields[i].path)), i);
        assert_true(strlen(event_fields[i].text) > 0);
    }
    for (int i = 0; i < IDENTITY_FIELD_COUNT; i++) {
        assert_int_equal(identity_field_find(str_of(identity_fields[i].path)), i);
        assert_true(strlen(identity_fields[i].text) > 0);
    }
    assert_int_equal(event_field_find(STR("subject.id")), EVENT_SUBJECT_ID);
    assert_int_equal(event_fields[EVENT_TIME].type, VALUE_TIMESTAMP);
    assert_int_equal(identity_field_find(STR("blast_radius")), IDENTITY_BLAST_RADIUS);
    assert_int_equal(identity_fields[IDENTITY_PRIVILEGE].type, VALUE_INT);
}

static void nothing_else_is_found(void **state) {
    (void)state;
    const struct str strangers[] = {STR(""),           STR("subject"),  STR("subject.i"), STR("subject.id.x"),
                                    STR("Subject.id"), STR("event.id"), STR("i")};
    for (size_t i = 0; i < COUNT_OF(strangers); i++) {
        assert_int_equal(event_field_find(strangers[i]), -1);
        assert_int_equal(identity_field_find(strangers[i]), -1);
    }
    assert_int_equal(event_field_find(STR("owner")), -1);
    assert_int_equal(identity_field_find(STR("actor.id")), -1);
    assert_int_equal(identity_field_find(STR("aliases")), -1);
}

static void actions_are_ordered_by_how_hard_they_bite(void **state) {
    (void)state;
    const struct str actions[] = {STR("none"),    STR("notify"),  STR("step_up"), STR("restrict"),
                                  STR("isolate"), STR("disable"), STR("revoke")};
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        assert_int_equal(action_strength(actions[i]), i);
    }
    assert_int_equal(action_strength(STR("")), 0);
    assert_int_equal(action_strength(STR("page-the-owner")), action_strength(STR("restrict")));
    assert_int_equal(action_strength(STR("REVOKE")), action_strength(STR("restrict")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_found_by_its_path),
        cmocka_unit_test(nothing_else_is_found),
        cmocka_unit_test(actions_are_ordered_by_how_hard_they_bite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
