// Versions of the client libraries as they are at run time: what a bug report needs.
#include <librdkafka/rdkafka.h>
#include <nats/nats.h>

#include "penstock/broker.h"

const char *broker_kafka_version(void)
{
    return rd_kafka_version_str();
}

const char *broker_nats_version(void)
{
    return nats_GetVersion();
}
