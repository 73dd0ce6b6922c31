/* What the image around the C main of this folder gives it. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>

void image_write(const char *text, size_t count);

#endif
