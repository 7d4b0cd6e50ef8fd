// live: what tests against real brokers need: free ports, scratch folders, a nats-server
// of one's own that is killed by its pid and dies with the test.
#ifndef PENSTOCK_TEST_LIVE_H
#define PENSTOCK_TEST_LIVE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "penstock/base.h"

struct live_server {
    pid_t pid;
    int port;
    char dir[64], url[64];
    const char *user; // or NULL: nobody is asked
};

static inline struct sockaddr_in live_address(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static inline int live_free_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = live_address(0);
    socklen_t len = sizeof address;
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    must(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline bool live_answers(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = live_address(port);
    bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}

static inline void live_scratch(char *dir, size_t size) {
    const char *base = getenv("TMPDIR");
    snprintf(dir, size, "%.40s/penstock-XXXXXX", base && strlen(base) <= 40 ? base : "/tmp");
    must(mkdtemp(dir) != NULL);
}

static inline void live_remove(const char *dir) {
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

static inline bool live_have_nats(void) {
    static const char *const places[] = {"/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"};
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (access(places[i], X_OK) == 0) {
            setenv("PENSTOCK_NATS_SERVER", places[i], 0);
            return true;
        }
    fprintf(stderr, "skipped: nats-server is not installed\n");
    return false;
}

static inline void live_nats_run(struct live_server *server) {
    char port[16];
    snprintf(port, sizeof port, "%d", server->port);
    server->pid = fork();
    must(server->pid >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        const char *program = getenv("PENSTOCK_NATS_SERVER");
        if (server->user)
            execl(program, "nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", server->dir, "--user",
                  server->user, "--pass", "right", (char *)NULL);
        else
            execl(program, "nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", server->dir, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 200 && !live_answers(server->port); i++)
        clock_sleep_ms(25);
    must(live_answers(server->port));
}

static inline void live_nats_prepare(struct live_server *server, const char *user) {
    *server = (struct live_server){.port = live_free_port(), .user = user};
    live_scratch(server->dir, sizeof server->dir);
    snprintf(server->url, sizeof server->url, "nats://127.0.0.1:%d", server->port);
}

static inline void live_nats_kill(struct live_server *server) {
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

static inline void live_nats_end(struct live_server *server) {
    live_nats_kill(server);
    live_remove(server->dir);
}

#endif
