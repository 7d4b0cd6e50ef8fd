// door: what a source or sink says about itself. A trouble is a state, not an event:
// client libraries repeat themselves many times a second, so it is logged when it
// begins and then at most every 30 s, while the detail and the counts are always new.
#include "penstock/broker.h"

#include <stdio.h>

#define LOG_EVERY_MS 30000
#define DENIED_HOLDS_MS 30000 // so long a door that was denied is not called unreachable instead

void door_init(struct door_state *door, const char *room, const char *name) {
    *door = (struct door_state){.room = room, .name = name};
    pthread_mutex_init(&door->mutex, NULL);
    snprintf(door->detail, sizeof door->detail, "starting");
}

void door_free(struct door_state *door) {
    pthread_mutex_destroy(&door->mutex);
}

void door_is_ready(struct door_state *door, const char *format, ...) {
    char text[sizeof door->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    pthread_mutex_lock(&door->mutex);
    bool news = !door->ready;
    door->ready = true;
    for (size_t i = 0; i < DOOR_TROUBLES; i++)
        if (i != DOOR_REFUSED && i != DOOR_DIFFERENT)
            door->logged_ms[i] = 0;
    memcpy(door->detail, text, sizeof text);
    pthread_mutex_unlock(&door->mutex);
    if (news)
        logline(LOGLINE_INFO, door->room, text, "name", door->name, NULL);
}

void door_is_waiting(struct door_state *door, const char *format, ...) {
    char text[sizeof door->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    pthread_mutex_lock(&door->mutex);
    door->ready = false;
    memcpy(door->detail, text, sizeof text);
    pthread_mutex_unlock(&door->mutex);
}

void door_has_trouble(struct door_state *door, enum door_trouble trouble, const char *format, ...) {
    char text[sizeof door->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&door->mutex);
    door->errors++;
    bool denied = !door->ready && door->last == DOOR_DENIED && door->logged_ms[DOOR_DENIED] != 0 &&
                  now_ms - door->logged_ms[DOOR_DENIED] < DENIED_HOLDS_MS;
    bool log = false;
    if (!(denied && trouble == DOOR_UNREACHABLE)) {
        log = door->logged_ms[trouble] == 0 || now_ms - door->logged_ms[trouble] >= LOG_EVERY_MS;
        if (log)
            door->logged_ms[trouble] = now_ms;
        if (trouble != DOOR_REFUSED && trouble != DOOR_DIFFERENT) {
            door->ready = false;
            door->last = trouble;
        }
        memcpy(door->detail, text, sizeof text);
    }
    pthread_mutex_unlock(&door->mutex);
    if (log)
        logline(LOGLINE_WARN, door->room, text, "name", door->name, NULL);
}

void door_reconnected(struct door_state *door) {
    pthread_mutex_lock(&door->mutex);
    door->reconnects++;
    pthread_mutex_unlock(&door->mutex);
}

bool door_ready(struct door_state *door) {
    pthread_mutex_lock(&door->mutex);
    bool ready = door->ready;
    pthread_mutex_unlock(&door->mutex);
    return ready;
}
