#pragma once

#include "harness.hpp"

void snapshot_read(Plan plan);
void snapshot_publish(Plan plan);
void mutex(Plan plan);
void rw_read(Plan plan);
void key(Plan plan);
