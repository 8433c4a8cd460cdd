'use strict';

const { SluiceException, SluiceExceptionFilter } = require('./nestjs/exception');
const { SluiceGuard } = require('./nestjs/guard');
const { SluiceApplication } = require('./nestjs/application');
const { SluiceModule } = require('./nestjs/module');
const { SkipSluice, Sluice } = require('./nestjs/decorators');

module.exports = {
  SkipSluice,
  Sluice,
  SluiceApplication,
  SluiceException,
  SluiceExceptionFilter,
  SluiceGuard,
  SluiceModule,
};
